import { describe, expect, test } from "vitest";
import { around, levelOf, readEvent, textOf, withEvent, type Asked, type Event } from "../src/pages/events/events";
import { askedOf, filterOf, isFiltered } from "../src/pages/events/filter";

const ALL: Asked = { asset: "", active: false, severity: 1, start: null, end: null };
const NOON = Date.UTC(2026, 10, 23, 12);

/** `3 cleared hot` is an event of second 3 that says that the condition hot has been cleared. */
function event(said: string, more: Partial<Event> = {}): Event {
  const [second, state, condition] = said.split(" ") as [string, string | undefined, string | undefined];
  const time = `2026-11-23T12:00:${second.padStart(2, "0")}.000000000Z`;
  return {
    ...{ id: said.replaceAll(" ", "-"), asset: "cnc-01", name: condition ?? "done", time, condition: condition ?? "" },
    ...{ state: (state ?? "") as Event["state"], severity: 500, texts: {}, values: {}, evidence: [], source: "machine", time_replaced: false },
    ...more,
  };
}

const list = (said: string): Event[] => (said === "" ? [] : said.split(", ").map((each) => event(each)));
const told = (events: readonly Event[]): string => events.map(({ id }) => id.replaceAll("-", " ")).join(", ");

describe("an event that comes", () => {
  test.each([
    ["", "1", "1"],
    ["2, 1", "3", "3, 2, 1"],
    ["4, 1", "3", "4, 3, 1"],
    ["2, 1", "2", "2, 1"],
    ["1 active hot", "2 cleared hot", "2 cleared hot, 1 active hot"],
  ])("among %j takes %j its place: %j", (shown, came, then) => {
    expect(told(withEvent(list(shown), event(came), ALL))).toBe(then);
  });

  test.each([
    ["1 active hot", "2 cleared hot", ""],
    ["1 active hot", "2 active hot", "2 active hot"],
    ["1 active hot", "2 acknowledged hot", "2 acknowledged hot"],
    ["1 active hot", "2 active cold", "2 active cold, 1 active hot"],
    ["3 active hot", "2 cleared hot", "3 active hot"],
    ["1 active hot", "2", "1 active hot"],
    ["", "2 acknowledged hot", ""],
  ])("where only what holds is shown, %j and %j are %j", (shown, came, then) => {
    expect(told(withEvent(list(shown), event(came), { ...ALL, active: true }))).toBe(then);
  });

  test.each<[Partial<Asked>, boolean]>([
    [{ asset: "cnc-02" }, false], [{ severity: 501 }, false], [{ severity: 500 }, true], [{ end: NOON }, false], [{ start: NOON + 1000 }, true], [{ start: NOON + 1001 }, false],
  ])("is shown where %j is asked for: %j", (asked, shown) => {
    expect(withEvent([], event("1"), { ...ALL, ...asked })).toHaveLength(shown ? 1 : 0);
  });

  test("is none when it has not its shape", () => {
    expect(readEvent(JSON.stringify(event("1")))).toEqual(event("1"));
    for (const wrong of ["", "null", "[]", "{}", JSON.stringify({ ...event("1"), severity: "high" }), JSON.stringify({ ...event("1"), evidence: {} })]) {
      expect(readEvent(wrong)).toBeNull();
    }
  });
});

test.each([[1, "low"], [200, "low"], [201, "mediumLow"], [600, "medium"], [601, "mediumHigh"], [1000, "high"]])("severity %d is %s", (severity, level) => {
  expect(levelOf(severity)).toBe(level);
});

test.each<[Record<string, string>, string, string]>([
  [{ en: "hot", zh: "过热" }, "hot", "过热"], [{ "zh-CN": "过热", "en-US": "hot" }, "hot", "过热"], [{ "": "heiß", en: "hot" }, "hot", "heiß"],
  [{ de: "heiß" }, "heiß", "heiß"], [{ en: "hot" }, "hot", "hot"], [{}, "", ""],
])("%j reads %j, %j", (texts, english, chinese) => {
  expect([textOf(texts, "en"), textOf(texts, "zh")]).toEqual([english, chinese]);
});

test("a chart shows what was before and after", () => {
  expect([around(NOON, NOON), around(NOON, NOON + 60_000), around(NOON, NOON + 1)]).toEqual([
    [NOON - 300_000, NOON + 300_000], [NOON - 30_000, NOON + 90_000], [NOON - 10_000, NOON + 10_001],
  ]);
});

test("the address says which events are shown, and nonsense in it says nothing", () => {
  expect(askedOf(filterOf({ asset: "cnc-01", active: "1", severity: "601", when: "3600" }), NOON)).toEqual({
    asset: "cnc-01", active: true, severity: 601, start: NOON - 3_600_000, end: null,
  });
  const between = filterOf({ when: "between", start: "2026-11-23T08:00", end: "" });
  expect(askedOf(between, NOON)).toEqual({ ...ALL, start: new Date(2026, 10, 23, 8).getTime() });
  const odd = filterOf({ asset: ["a", "b"], active: "yes", severity: "9999", when: "12", start: "never" });
  expect([askedOf(odd, NOON), isFiltered(odd)]).toEqual([ALL, false]);
});
