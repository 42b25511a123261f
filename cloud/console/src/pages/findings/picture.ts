/** The pictures of a finding as ECharts takes them. */

import { seriesColor } from "../../chart/palette";
import { numberText } from "../../format/number";
import { clockTime, dateTime } from "../../format/time";

export interface Look {
  readonly text: string;
  readonly faint: string;
  readonly line: string;
  readonly raised: string;
  readonly edge: string;
  readonly warn: string;
  readonly font: string;
  readonly dark: boolean;
}

/** The colors of the page as it is now. */
export function look(dark: boolean): Look {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: color("--text"), faint: color("--text-3"), line: color("--line"), raised: color("--raised"), edge: color("--line-strong"),
    warn: color("--warn"), font: getComputedStyle(document.body).fontFamily, dark,
  };
}

/** Times of a window that is longer are told without seconds. */
const SHORT_MS = 10 * 60_000;

function common({ text, faint, line, raised, edge, font }: Look) {
  const axis = { axisLine: { lineStyle: { color: line }, onZero: false }, splitLine: { lineStyle: { color: line, opacity: 0.6 } } };
  const label = { color: faint, fontSize: 11, hideOverlap: true };
  return {
    axis,
    label,
    name: { color: faint, fontSize: 11 },
    option: {
      animation: false,
      textStyle: { fontFamily: font },
      tooltip: {
        trigger: "axis",
        transitionDuration: 0,
        confine: true,
        backgroundColor: raised,
        borderColor: edge,
        textStyle: { color: text, fontSize: 12 },
        axisPointer: { type: "line", animation: false, lineStyle: { color: faint } },
      },
    },
  };
}

export interface CoursePicture {
  readonly points: readonly (readonly [time: number, value: number | null])[];
  readonly start: number;
  readonly end: number;
  readonly unit: string;
  readonly band: { readonly low: number; readonly high: number; readonly middle: number } | null;
  /** Where the evidence lies, ms; null: it names no time. */
  readonly seen: readonly [start: number, end: number] | null;
}

/** The course of a signal with what is usual of it. */
export function courseOption({ points, start, end, unit, band, seen }: CoursePicture, style: Look): object {
  const { axis, label, name, option } = common(style);
  const color = seriesColor(0, style.dark);
  const values = points.flatMap(([, value]) => (value === null ? [] : [value]));
  const all = [...values, ...(band ? [band.low, band.high] : [])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  const flat = (value: number) => [[start, value], [end, value]];
  const quiet = { type: "line", symbol: "none", silent: true, tooltip: { show: false }, emphasis: { disabled: true } };
  const usual = band
    ? [
        { ...quiet, stack: "usual", stackStrategy: "all", data: flat(band.low), lineStyle: { opacity: 0 } },
        { ...quiet, stack: "usual", stackStrategy: "all", data: flat(band.high - band.low), lineStyle: { opacity: 0 }, areaStyle: { color: style.faint, opacity: 0.22 } },
        { ...quiet, data: flat(band.middle), lineStyle: { width: 1, type: "dashed", color: style.faint } },
      ]
    : [];
  const edges = (seen ?? []).map((at) => ({ ...quiet, data: [[at, low - room], [at, high + room]], lineStyle: { width: 1, type: "dotted", color: style.warn } }));
  return {
    ...option,
    grid: { left: 62, right: 22, top: 24, bottom: 26, outerBoundsMode: "none" },
    tooltip: {
      ...option.tooltip,
      formatter: (shown: { value: [number, number | null]; seriesName: string }[]) => {
        const point = shown.find(({ seriesName }) => seriesName === "course")?.value;
        return point && point[1] !== null ? `${dateTime(point[0])}: ${numberText(point[1])}` : "";
      },
    },
    xAxis: {
      type: "time", min: start, max: end, ...axis,
      axisLabel: { ...label, formatter: (ms: number) => (end - start <= SHORT_MS ? clockTime(ms) : clockTime(ms).slice(0, 5)) },
    },
    yAxis: {
      type: "value", name: unit, nameGap: 8, nameTextStyle: name, ...axis,
      ...(all.length ? { min: low - room, max: high + room } : {}),
      axisLabel: { ...label, showMinLabel: false, showMaxLabel: false, formatter: (value: number) => numberText(value) },
    },
    series: [...usual, ...edges, { type: "line", name: "course", data: points, symbol: "none", z: 3, lineStyle: { width: 1.4, color }, itemStyle: { color } }],
  };
}

export interface SpectrumLine {
  readonly hz: number;
  /** Whether it is the fault's own. */
  readonly own: boolean;
}

export interface SpectrumPicture {
  readonly amplitude: readonly number[];
  readonly step_hz: number;
  readonly unit: string;
  /** So far it is drawn, Hz. */
  readonly highest: number;
  readonly lines: readonly SpectrumLine[];
}

/** Amplitudes with the lines at which faults would show. */
export function spectrumOption({ amplitude, step_hz, unit, highest, lines }: SpectrumPicture, style: Look): object {
  const { axis, label, name, option } = common(style);
  const color = seriesColor(0, style.dark);
  const count = Math.min(amplitude.length, Math.floor(highest / step_hz) + 1);
  // the first is the mean, and no vibration
  const data = amplitude.slice(1, count).map((value, i): [number, number] => [(i + 1) * step_hz, value]);
  const top = Math.max(...data.map(([, value]) => value), 1e-12) * 1.08;
  const own = seriesColor(5, style.dark);
  return {
    ...option,
    grid: { left: 62, right: 22, top: 26, bottom: 40, outerBoundsMode: "none" },
    tooltip: {
      ...option.tooltip,
      formatter: (shown: { value: [number, number]; seriesName: string }[]) => {
        const point = shown.find(({ seriesName }) => seriesName === "amplitude")?.value;
        return point ? `${numberText(point[0])} Hz: ${numberText(point[1])}` : "";
      },
    },
    xAxis: { type: "value", min: 0, max: highest, name: "Hz", nameLocation: "middle", nameGap: 24, nameTextStyle: name, ...axis, axisLabel: { ...label, showMaxLabel: false, formatter: (value: number) => numberText(value) } },
    yAxis: { type: "value", min: 0, max: top, name: unit, nameGap: 8, nameTextStyle: name, ...axis, axisLabel: { ...label, showMaxLabel: false, formatter: (value: number) => numberText(value) } },
    series: [
      ...lines.map(({ hz, own: isOwn }) => ({
        type: "line", symbol: "none", silent: true, tooltip: { show: false }, z: 2,
        data: [[hz, 0], [hz, top]],
        lineStyle: { width: isOwn ? 1.6 : 1, type: isOwn ? "solid" : "dashed", color: isOwn ? own : style.faint, opacity: isOwn ? 0.75 : 0.5 },
      })),
      { type: "line", name: "amplitude", data, symbol: "none", sampling: "minmax", z: 3, lineStyle: { width: 1, color }, itemStyle: { color } },
    ],
  };
}
