import { describe, expect, test } from "vitest";
import { bucketPoints, courseOf, legible, plainPoint, pointAt, stretches } from "../src/chart/course";
import { optionOf, panelsOf, standsAlone } from "../src/chart/option";
import { boundsOf, DAY, fixed, HOUR, MINUTE, moved, parseRange, rangeText, wider } from "../src/chart/range";
import { Ring } from "../src/chart/ring";
import { scaleOf } from "../src/chart/scale";
import { byPlace, columnsOf } from "../src/plant/group";

describe("Ring", () => {
  test("keeps the newest points in order and never more than its capacity", () => {
    const ring = new Ring(3);
    for (let i = 1; i <= 5; i++) ring.push(i, i * 10);
    expect(ring.length).toBe(3);
    expect(ring.pairs()).toEqual([[3, 30], [4, 40], [5, 50]]);
    expect(ring.pairs(4)).toEqual([[4, 40], [5, 50]]);
  });

  test("ignores repeats and the past, and gives NaN as a gap", () => {
    const ring = new Ring(4);
    expect([ring.push(10, 1), ring.push(10, 2), ring.push(9, 3), ring.push(NaN, 3), ring.push(11, NaN)]).toEqual([
      true, false, false, false, true,
    ]);
    expect(ring.pairs()).toEqual([[10, 1], [11, null]]);
    ring.clear();
    expect([ring.length, ring.lastTime]).toEqual([0, -Infinity]);
  });
});

describe("courseOf", () => {
  const hold = { stepMs: 1000, until: 0 };

  test("a value holds until the next one", () => {
    const { points, held } = courseOf([plainPoint(0, 5), plainPoint(10_000, 7)], { ...hold, until: 10_000 });
    expect(points.map(({ time, mean }) => [time, mean])).toEqual([[0, 5], [9000, 5], [10_000, 7]]);
    expect(held).toEqual([]);
  });

  test("a long hold is drawn apart", () => {
    const { points, held } = courseOf([plainPoint(0, 5), plainPoint(200_000, 7)], { ...hold, until: 200_000 });
    expect(points.map(({ time, mean }) => [time, mean])).toEqual([[0, 5], [1, null], [200_000, 7]]);
    expect(held).toEqual([[0, 5], [199_000, 5], [199_001, null]]);
    expect(pointAt(points, 100_000)?.mean).toBe(5);
  });

  test("nothing is held after a value that is known to be bad", () => {
    const { points, held } = courseOf([plainPoint(0, 5), plainPoint(1000, null)], { ...hold, until: 500_000 });
    expect([points.length, held]).toEqual([2, []]);
    expect(pointAt(points, 400_000)).toBeNull();
    expect(pointAt(points, 500)?.mean).toBe(5);
    expect(pointAt(points, -1)).toBeNull();
  });

  test("the last value holds as long as the machine was heard", () => {
    expect(courseOf([plainPoint(0, 5)], { ...hold, until: 30_000 }).points.at(-1)).toEqual(plainPoint(30_000, 5));
  });

  test("a bucket stands at its middle", () => {
    const series = {
      kind: "buckets" as const, signal: "s", unit: "", count: [2],
      time: ["2026-11-23T08:00:00.000000000Z"], min: [1], mean: [2], max: [3], last: [1.5],
    };
    expect(bucketPoints(series, 10_000)).toEqual([
      { time: Date.UTC(2026, 10, 23, 8, 0, 5), min: 1, mean: 2, max: 3, last: 1.5 },
    ]);
  });

  test.each([30_000, 300_000])("behind a bucket its last value holds, not its mean (until %d ms)", (until) => {
    const bucket = { time: 500, min: 0, mean: 50, max: 100, last: 3 };
    const { points, held } = courseOf([bucket], { ...hold, until });
    expect(points.slice(0, 2)).toEqual([bucket, plainPoint(1000, 3)]);
    expect((held[1] ?? [points.at(-1)?.time, points.at(-1)?.mean])).toEqual([until, 3]);
    expect([pointAt(points, 600)?.mean, pointAt(points, 20_000)?.mean]).toEqual([50, 3]);
  });
});

test("states: equal neighbors are one stretch, the one before the range holds at its start", () => {
  const samples: [number, string | null][] = [[0, "READY"], [50, "ACTIVE"], [120, "ACTIVE"], [150, "STOPPED"], [900, "READY"]];
  expect(stretches(samples, 100, 200)).toEqual([
    { start: 100, end: 150, text: "ACTIVE" },
    { start: 150, end: 200, text: "STOPPED" },
  ]);
  expect(stretches([], 0, 1)).toEqual([]);
});

describe("scaleOf", () => {
  test.each([
    [0, 5530, 12_000, 4, { min: 0, max: 6000, interval: 2000, decimals: 0 }],
    [-0.3, 5530, 0, 3, { min: 0, max: 6000, interval: 2000, decimals: 0 }],
    [21.93, 21.95, 100, 4, { min: 19, max: 24, interval: 1, decimals: 0 }],
    [-360, 360, 720, 4, { min: -400, max: 400, interval: 200, decimals: 0 }],
  ])("%d to %d in a range of %d", (low, high, span, ticks, wanted) => {
    expect(scaleOf(low, high, span, ticks)).toEqual(wanted);
  });

  test("holds for no data and for a constant", () => {
    expect(scaleOf(Infinity, -Infinity)).toEqual({ min: 0, max: 1, interval: 0.5, decimals: 1 });
    const { min, max, interval } = scaleOf(7, 7);
    expect(min).toBeLessThan(7);
    expect(max).toBeGreaterThan(7);
    expect(interval).toBeGreaterThan(0);
  });
});

describe("range", () => {
  const now = Date.UTC(2026, 10, 23, 8);

  test.each([{ mode: "live", ms: 5 * MINUTE }, { mode: "recent", ms: 7 * DAY }, fixed(now - HOUR, now)] as const)(
    "%j survives the address bar", (range) => {
      expect(parseRange(rangeText(range))).toEqual(range);
    },
  );

  test.each([undefined, "", "live-7", "x~y", "2026-01-02~2026-01-01", "2026-01-01~2026-01-02~2026-01-03", "live-99999999999"])(
    "%j is refused", (text) => {
      expect(parseRange(text)).toBeNull();
    },
  );

  test("moves by half its width and zooms out, not beyond now", () => {
    const hour = { mode: "recent", ms: HOUR } as const;
    expect(boundsOf(moved(hour, -0.5, now), now)).toEqual([now - 1.5 * HOUR, now - 0.5 * HOUR]);
    expect(boundsOf(wider(hour, now), now)).toEqual([now - 2 * HOUR, now]);
    expect(boundsOf(fixed(now, now - HOUR), now)).toEqual([now - HOUR, now]);
  });
});

test("a chart of one point shows the point", () => {
  const course = { points: [plainPoint(5, 1)], held: [] };
  const line = { signal: "a", unit: "", label: "", color: "", span: 0, measure: {}, course };
  const { series } = optionOf(panelsOf([line]), 0, 10, 300, { text: "", faint: "", line: "", font: "" }) as {
    series: { symbol: string | ((value: unknown, at: { dataIndex: number }) => string) }[];
  };
  const symbol = series[0]!.symbol;
  expect(typeof symbol === "function" && symbol(null, { dataIndex: 0 })).toBe("circle");
  const broken = [plainPoint(0, 1), plainPoint(1, 2), plainPoint(2, null), plainPoint(3, 4), plainPoint(4, null)];
  expect(broken.map((_, i) => standsAlone(broken, i))).toEqual([false, false, false, true, false]);
});

test("signals of one unit share a panel", () => {
  const line = (signal: string, unit: string) => ({ signal, unit, label: "", color: "", span: 0, measure: {}, course: { points: [], held: [] } });
  const panels = panelsOf([line("a", "kW"), line("b", "rpm"), line("c", "kW")]);
  expect(panels.map(({ unit, lines }) => [unit, lines.map(({ signal }) => signal)])).toEqual([["kW", ["a", "c"]], ["rpm", ["b"]]]);
});

const part = (start: number, end: number, text: string) => ({ start, end, text });

test("states too short to see are told with what is beside them", () => {
  expect(legible([part(0, 100, "A"), part(100, 102, "r"), part(102, 200, "A")], 5)).toEqual([{ ...part(0, 200, "A"), mixed: true }]);
  expect(legible([part(0, 100, "A"), part(100, 150, "B")], 5)).toEqual([{ ...part(0, 100, "A"), mixed: false }, { ...part(100, 150, "B"), mixed: false }]);
  expect(legible([part(0, 2, "A")], 5)).toEqual([{ ...part(0, 2, "A"), mixed: false }]);
  expect(legible([], 5)).toEqual([]);
});

test("many states that are all too short show what prevails", () => {
  const many = Array.from({ length: 60 }, (_, i) => part(i, i + 1, i % 3 === 0 ? "r" : "A"));
  expect(legible(many, 3)).toEqual([{ ...part(0, 60, "A"), mixed: true }]);
});

test("tiles take as many columns as their lines use", () => {
  expect([columnsOf([1, 1, 2], 3), columnsOf([1, 1, 1], 3), columnsOf([5], 3), columnsOf([], 4), columnsOf([2, 2], 5)]).toEqual([2, 3, 3, 1, 4]);
});

test("no label moves a grid aside: all panels have the same time axis", () => {
  const line = (unit: string) => ({ signal: unit, label: unit, unit, color: "", measure: {}, course: courseOf([plainPoint(1, 123_456_789)], { stepMs: 1, until: 1 }), span: 0 });
  const { grid } = optionOf(panelsOf([line("rpm"), line("%")]), 0, 1000, 500, { text: "", faint: "", line: "", font: "" }) as { grid: { left: number; right: number; outerBoundsMode: string }[] };
  expect(new Set(grid.map(({ left, right, outerBoundsMode }) => `${left} ${right} ${outerBoundsMode}`)).size).toBe(1);
  expect(grid[0]!.outerBoundsMode).toBe("none");
});

test("a line whose machines are gone goes with its edge node, not while the node speaks", () => {
  const node = (standing: string) => ({ id: "n", kind: "node", standing, place: { enterprise: "e", site: "s", area: "a", line: "l" } }) as never;
  expect(byPlace([node("offline")], "en")).toEqual([]);
  expect(byPlace([node("running")], "en")).toHaveLength(1);
});
