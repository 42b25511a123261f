/** The picture of a trend: signals of one unit share a grid, all grids share the time axis. */

import { axisText, type Measure } from "../format/number";
import { clockTime, dateTime } from "../format/time";
import type { Course } from "./course";
import { DAY, HOUR, MINUTE } from "./range";
import { scaleOf } from "./scale";

export interface Line {
  readonly signal: string;
  readonly label: string;
  readonly unit: string;
  readonly color: string;
  readonly measure: Measure;
  readonly course: Course;
  /** Width of the engineering range, 0 when unknown. */
  readonly span: number;
}

export interface Look {
  readonly text: string;
  readonly faint: string;
  readonly line: string;
  readonly font: string;
}

export const LEFT = 62;
/** Half a label of the time axis fits in. */
export const RIGHT = 30;
const TOP = 8;
const BOTTOM = 26;
const HEADING = 20;
const GAP = 6;

export interface Panel {
  readonly unit: string;
  readonly lines: readonly Line[];
}

/** Lines by unit, in the order in which the units come. */
export function panelsOf(lines: readonly Line[]): Panel[] {
  const units = new Map<string, Line[]>();
  for (const line of lines) units.set(line.unit, [...(units.get(line.unit) ?? []), line]);
  return [...units].map(([unit, members]) => ({ unit, lines: members }));
}

/** Where the grid of panel `i` of `count` stands in a chart of `height` px. */
function place(i: number, count: number, height: number): { top: number; height: number } {
  const each = (height - TOP - BOTTOM - (count - 1) * GAP) / count;
  return { top: TOP + i * (each + GAP) + HEADING, height: Math.max(20, each - HEADING) };
}

function extent(lines: readonly Line[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const { course } of lines) {
    for (const { min, max } of course.points) {
      if (min !== null && min < low) low = min;
      if (max !== null && max > high) high = max;
    }
    for (const [, value] of course.held) {
      if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  return [low, high];
}

function timeLabel(width: number): (ms: number) => string {
  return (ms) => {
    const full = dateTime(ms);
    if (width <= 10 * MINUTE) return clockTime(ms);
    const midnight = full.endsWith("00:00:00");
    if (width >= 3 * DAY || (midnight && width > HOUR)) return full.slice(5, midnight ? 10 : 16);
    return full.slice(11, 16);
  };
}

/** The option for `setOption(…, { notMerge: true })`. `start` and `end` are the shown time in ms. */
export function optionOf(panels: readonly Panel[], start: number, end: number, height: number, look: Look): object {
  const last = panels.length - 1;
  const scales = panels.map(({ lines }) => {
    const [low, high] = extent(lines);
    return scaleOf(low, high, Math.max(0, ...lines.map((line) => line.span)), panels.length > 2 ? 3 : 4);
  });
  return {
    animation: false,
    textStyle: { fontFamily: look.font },
    // the labels must not move one grid aside: all have the same time axis
    grid: panels.map((_, i) => ({ left: LEFT, right: RIGHT, outerBoundsMode: "none", ...place(i, panels.length, height) })),
    axisPointer: { link: [{ xAxisIndex: "all" }], lineStyle: { color: look.faint } },
    tooltip: { trigger: "axis", transitionDuration: 0, confine: true, axisPointer: { type: "line", animation: false } },
    xAxis: panels.map((_, i) => ({
      type: "time",
      gridIndex: i,
      min: start,
      max: end,
      axisLine: { lineStyle: { color: look.line }, onZero: false },
      axisTick: { show: i === last, lineStyle: { color: look.line } },
      axisLabel: {
        show: i === last,
        color: look.faint,
        fontSize: 11,
        hideOverlap: true,
        formatter: timeLabel(end - start),
      },
      splitLine: { show: true, lineStyle: { color: look.line, opacity: 0.5 } },
    })),
    yAxis: panels.map((_, i) => {
      const { min, max, interval, decimals } = scales[i]!;
      return {
        type: "value",
        gridIndex: i,
        min,
        max,
        interval,
        axisLabel: {
          color: look.faint,
          fontSize: 11,
          showMaxLabel: true,
          formatter: (value: number) => axisText(value, interval, decimals),
        },
        splitLine: { lineStyle: { color: look.line } },
      };
    }),
    series: panels.flatMap(({ lines }, i) => lines.flatMap((line) => seriesOf(line, i))),
  };
}

/** Whether no line goes to or from a point: what is beside it is a break or the end. */
export function standsAlone(points: Course["points"], at: number): boolean {
  const known = (i: number): boolean => (points[i]?.mean ?? null) !== null;
  return known(at) && !known(at - 1) && !known(at + 1);
}

function seriesOf(line: Line, grid: number): object[] {
  const { points, held } = line.course;
  const common = { type: "line", xAxisIndex: grid, yAxisIndex: grid, symbol: "none", silent: true, emphasis: { disabled: true } };
  const style = { color: line.color, itemStyle: { color: line.color }, z: 3 };
  const course = {
    ...common,
    ...style,
    name: line.signal,
    data: points.map(({ time, mean }) => [time, mean]),
    lineStyle: { width: 1.4, color: line.color },
    // a line needs two points; what stands alone is shown as what it is
    ...(points.some((_, i) => standsAlone(points, i))
      ? {
          symbol: (_: unknown, { dataIndex }: { dataIndex: number }) => (standsAlone(points, dataIndex) ? "circle" : "none"),
          symbolSize: 5,
          showAllSymbol: true,
        }
      : {}),
  };
  const hold = { ...common, ...style, data: held, lineStyle: { width: 1.2, color: line.color, type: [2, 4], opacity: 0.8 } };
  if (points.every(({ min, max }) => min === max)) return [course, hold];
  const stack = `band ${line.signal}`;
  const band = { ...common, stack, stackStrategy: "all", lineStyle: { opacity: 0 }, z: 2 };
  return [
    { ...band, data: points.map(({ time, min }) => [time, min]) },
    {
      ...band,
      data: points.map(({ time, min, max }) => [time, min === null || max === null ? null : max - min]),
      areaStyle: { color: line.color, opacity: 0.22 },
    },
    course,
    hold,
  ];
}
