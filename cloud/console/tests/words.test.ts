import { beforeAll, describe, expect, test } from "vitest";
import { displayName, nameOf, signalName, titleOf } from "../src/format/names";
import { axisText, fixedText, measureText, numberText, outOfRange, shareOf } from "../src/format/number";
import { ageText, dateTime, parseTime } from "../src/format/time";
import { shownText } from "../src/format/value";
import en from "../src/i18n/en";
import { pageWords } from "../src/i18n";
import { faultText, reasonText, termText } from "../src/i18n/terms";
import zh from "../src/i18n/zh";
import { tileSignals } from "../src/plant/catalog";
import { freshnessOf } from "../src/plant/freshness";
import { kindIcon, kindName, learnKinds, stateText } from "../src/plant/kinds";
import { qualityOf } from "../src/plant/quality";
import { conditionOf, type Standing } from "../src/plant/state";

test.each([
  ["spindle_speed", "Spindle speed", "主轴转速"],
  ["joint1_temperature", "Joint 1 temperature", "关节 1 温度"],
  ["SpindleLoad", "Spindle load", "主轴负载"],
  ["x_motor_temperature", "X motor temperature", "X 轴电机温度"],
  ["Health/cnc-01/last_data_age_s", "Health · cnc-01 · Last data age", "健康 · cnc-01 · 最近数据时效"],
  ["quux_speed", "Quux speed", "quux_speed"],
  ["voltage_l1", "Voltage L1", "电压 L1"],
  ["b", "b", "b"],
  ["X", "X", "X"],
  ["_", "_", "_"],
])("%s is %s, %s", (id, english, chinese) => {
  expect([nameOf(id, "en"), nameOf(id, "zh")]).toEqual([english, chinese]);
});

test("an axis is one only on a machine whose names are known", () => {
  expect(nameOf("x_speed", "zh", "cnc")).toBe("X 轴速度");
  expect(nameOf("x_speed", "zh", "conveyor")).toBe("x_speed");
  expect(nameOf("motor_temperature", "zh", "conveyor")).toBe("电机温度");
});

test("a display name falls back to another language, then to the id", () => {
  expect(displayName({ id: "m", names: { zh: "机器" }, label: "M 1" }, "en")).toBe("机器");
  expect(displayName({ id: "m", names: { en: "Mill", zh: "铣床" } }, "zh")).toBe("铣床");
  expect(displayName({ id: "m", names: {} }, "zh")).toBe("m");
  expect(displayName({ id: "xichuang1", names: {}, label: "铣床1" }, "en")).toBe("铣床1");
  expect(signalName({ name: "WenDu", label: "温度" }, "en")).toBe("温度");
  expect(signalName({ name: "spindle_speed", label: "" }, "en")).toBe("Spindle speed");
});

test.each([
  [0, "0"], [1200.5, "1\u2009201"], [999.96, "1\u2009000"], [-0.0123, "−0.012"], [21.9313, "21.93"], [101.26, "101.3"],
  [12_345_678, "12\u2009345\u2009678"], [1.5e-7, "1.500e−7"], [NaN, "–"], [Infinity, "∞"],
  [2 ** 53 - 1, "9\u2009007\u2009199\u2009254\u2009740\u2009991"], [-1_234_567_890_123, "−1\u2009234\u2009567\u2009890\u2009123"],
])("%d reads %s", (value, text) => {
  expect(numberText(value)).toBe(text);
});

test.each([
  [20.4567, { deadband: 0.05 }, "20.46"],
  [20, { deadband: 0.001 }, "20.000"],
  [-0.0003, { deadband: 0.01 }, "0.00"],
  [-21.5, { deadband: 0.1 }, "−21.5"],
  [-1, { deadband: 1, low: 0, high: 12_000 }, "0"],
  [-1.5, { deadband: 1, datatype: "int64" }, "−2"],
  [23.456, { low: 0, high: 40 }, "23.46"],
  [3456.78, { low: 0, high: 12_000 }, "3\u2009457"],
  [12_345_678.9, { deadband: 0.1, low: 0 }, "12\u2009345\u2009678.9"],
  [7, { datatype: "int64", low: 0, high: 99 }, "7"],
  [21.9313, { low: 0 }, "21.93"],
])("%d of %j reads %s", (value, measure, text) => {
  expect(measureText(value, measure)).toBe(text);
});

test("one minus sign, and none before nothing", () => {
  expect([fixedText(-0.0001, 0), fixedText(-0, 1), fixedText(-400, 0), numberText(-1.5e-7), numberText(-0.00049)]).toEqual([
    "0", "0.0", "−400", "−1.500e−7", "−4.900e−4",
  ]);
  expect(shownText("-9223372036854775808", { datatype: "int64" }, { locale: "en", yes: "", no: "" })).toBe("−9223372036854775808");
});

test.each([
  [-200, 200, 0, "−200"], [0.5, 0.5, 1, "0.5"], [12_000_000, 2_000_000, 0, "12\u2009000\u2009000"],
  [1_796_500_000_000, 500_000_000, 0, "1.7965e12"], [-2e9, 1e9, 0, "−2e9"],
])("%d on an axis in steps of %d reads %s", (value, interval, decimals, text) => {
  expect(axisText(value, interval, decimals)).toBe(text);
});

describe("values of other kinds", () => {
  const english = { locale: "en", yes: "yes", no: "no" } as const;
  const chinese = { locale: "zh", yes: "是", no: "否" } as const;
  const noon = Date.UTC(2026, 10, 30, 12);

  test.each([
    [true, {}, "yes"], [false, {}, "no"], [1, { datatype: "boolean" }, "yes"], [null, { unit: "kN" }, "–"], ["", {}, "–"],
    ["O1001", { datatype: "string" }, "O1001"], ["18446744073709551615", { datatype: "uint64" }, "18446744073709551615"],
    [noon, { datatype: "datetime" }, dateTime(noon)], [noon + 250, { datatype: "datetime" }, `${dateTime(noon)}.250`],
    [4_000, { unit: "s" }, "1 h 6 min"], [41.5, { unit: "s", low: 0, high: 3600 }, "42 s"], [90, { unit: "min" }, "1 h 30 min"],
  ])("%j of %j reads %s", (value, measure, text) => {
    expect(shownText(value, measure, english)).toBe(text);
  });

  test.each([["AUTOMATIC", "自动"], ["good", "合格"], ["GRIP MISSED", "抓取失败"], ["O1001", "O1001"]])("%s is %s", (word, text) => {
    expect(shownText(word, { datatype: "string" }, chinese)).toBe(text);
    expect(shownText(word, { datatype: "string" }, english)).toBe(word);
  });
});

test("the place in a range", () => {
  expect([shareOf(5, 0, 10), shareOf(-5, 0, 10), shareOf(5, 0, null), shareOf("x", 0, 1), shareOf(1, 1, 1)]).toEqual([
    0.5, 0, null, null, null,
  ]);
});

test.each([
  [11, { low: 0, high: 10 }, true], [10, { low: 0, high: 10 }, false], [-1, { low: 0, high: null }, true],
  [5, { low: null, high: null }, false], [100.3, { low: 0, high: 100 }, false], [-0.02, { low: 0, high: 100 }, false],
  [101.5, { low: 0, high: 100 }, true], [-0.4, { low: 0, high: null, deadband: 0.5 }, false], [12, { low: 0, high: 10, deadband: 3 }, false],
])("%d in %j is outside: %s", (value, measure, outside) => {
  expect(outOfRange(value, measure)).toBe(outside);
});

test("times with nanoseconds are read, nonsense is not", () => {
  expect(parseTime("2026-11-23T08:00:00.250999999Z")).toBe(Date.UTC(2026, 10, 23, 8, 0, 0, 250));
  expect([parseTime("yesterday"), parseTime(null)]).toEqual([null, null]);
});

test.each([
  [-3, "0 s"], [59.9, "59 s"], [60, "1 min"], [95, "1 min"], [3_700, "1 h 1 min"], [40_000, "11 h"], [90_000, "1 d 1 h"],
])("an age of %d s is %s", (seconds, text) => {
  expect(ageText("en", seconds)).toBe(text);
});

describe("what a machine's words mean", () => {
  const conditions = { active: "running", feed_hold: "interrupted" } as const;

  test.each([["ACTIVE", "running"], ["Feed-Hold", "interrupted"], ["feed hold", "interrupted"], ["x", "unknown"], [null, "unknown"]])(
    "%s is %s", (word, condition) => {
      expect(conditionOf(word, conditions)).toBe(condition);
    },
  );

  const feedHold = { condition: "interrupted", names: { en: "Feed hold", zh: "进给保持" } } as const;
  const melting = { condition: "running", names: { en: "Melting", zh: "熔化" } } as const;
  const any = { names: { en: "Machine", zh: "机器" }, icon: "device", states: { feed_hold: feedHold } };
  const furnace = { names: { en: "Furnace", zh: "加热炉" }, icon: "meter", states: { feed_hold: feedHold, melting } };
  beforeAll(() => learnKinds({ any, kinds: { furnace, tube: { ...any, icon: "an icon of a later version" } } }));

  test.each([["FEED_HOLD", "Feed hold", "进给保持"], ["Feed hold", "Feed hold", "进给保持"], ["warming up", "warming up", "warming up"], ["melting", "melting", "melting"]])(
    "%s reads %s, %s", (word, english, chinese) => {
      expect([stateText(word, "en"), stateText(word, "zh"), termText(word, "zh")]).toEqual([english, chinese, chinese]);
    },
  );

  test("a kind has words, a name and an icon of its own; of another kind holds what holds for all", () => {
    expect([stateText("MELTING", "zh", "furnace"), kindName("furnace", "zh"), kindIcon("furnace")]).toEqual(["熔化", "加热炉", "meter"]);
    expect([stateText("FEED_HOLD", "en", "oven"), kindName("oven", "zh"), kindIcon("oven"), kindIcon("tube")]).toEqual(["Feed hold", "烘箱", "device", "device"]);
  });

  test("a fault is an alarm, or the signal that says it", () => {
    const machine = { kind: "robot", readings: new Map([["protective_stop", true]]) };
    expect(faultText({ ...machine, fault: "protective_stop" }, "zh")).toBe("保护性停止");
    expect(faultText({ ...machine, fault: "GRIP MISSED" }, "en")).toBe("GRIP MISSED");
    expect(faultText({ ...machine, fault: null }, "en")).toBe("");
  });

  test.each([["running", 0, "live"], ["unknown", 15, "live"], ["running", 16, "late"], ["quiet", 3, "quiet"], ["stale", 61, "stale"],
    ["offline", 0, "offline"], ["retired", 0, "offline"]] as [Standing, number, string][])(
    "%s, heard %d s ago, is %s", (standing, age_s, fresh) => {
      expect(freshnessOf(standing, 1000, 1000 + age_s * 1000)).toBe(fresh);
    },
  );

  test("never heard is never, not fresh", () => {
    expect(freshnessOf("unknown", null, 0)).toBe("never");
  });

  test.each([[192, "good"], [216, "good"], [64, "uncertain"], [0, "bad"], [24, "bad"], [500, "stale"], [704, "good"],
    [576, "uncertain"], [512, "bad"], [1012, "stale"], [null, "bad"]])(
    "quality %s is %s", (code, quality) => {
      expect(qualityOf(code)).toBe(quality);
    },
  );
});

test("both languages have the same places to fill in", () => {
  const places = (messages: object): Record<string, string[]> =>
    Object.fromEntries(
      Object.entries(messages).flatMap(([key, value]) =>
        typeof value === "string"
          ? [[key, [...new Set(value.match(/\{\w+\}/g) ?? [])].sort()]]
          : Object.entries(places(value)).map(([inner, found]) => [`${key}.${inner}`, found]),
      ),
    );
  expect(places(zh)).toEqual(places(en));
  expect(places(pageWords("zh"))).toEqual(places(pageWords("en")));
  expect(Object.keys(pageWords("en")).filter((noun) => noun in en)).toEqual([]);
});

test("a tile has the signals that the server names before the details of its machine are known", () => {
  const found = tileSignals({ id: "cnc-02", keySignals: ["spindle_speed", "coolant_level"], units: new Map([["spindle_speed", "rpm"]]) });
  expect(found.map(({ name, unit }) => [name, unit])).toEqual([["spindle_speed", "rpm"], ["coolant_level", ""]]);
});

test("a Chinese reason names the command apart, English leaves it in the sentence", () => {
  const why = { code: "unknown_signals", text: "opc.tcp://a: it has none of the 1 nodes", do: "`shopfloor browse opc.tcp://a` shows what it has", args: {} };
  expect(reasonText(why, "zh")).toMatchObject({ command: "shopfloor browse opc.tcp://a", what: expect.stringContaining("信号") });
  expect(reasonText(why, "en")).toEqual({ what: why.text, todo: why.do, command: "" });
});

test("an alarm with a number is known by its words", () => {
  expect(["COLLISION DETECTION: JOINT 3", "JOINT 4 ENCODER", "ALARM 7"].map((text) => termText(text, "zh"))).toEqual([
    "关节 3 检测到碰撞", "关节 4 编码器故障", "ALARM 7",
  ]);
});

test("a place or a kind without a Chinese word is written as the others are", () => {
  expect([titleOf("berlin", "zh"), titleOf("oven", "zh"), titleOf("oven", "en"), titleOf("b", "zh")]).toEqual(["Berlin", "烘箱", "Oven", "b"]);
});
