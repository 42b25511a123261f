/**
 * The course of one signal as a chart draws it. Signals are reported by exception: no sample means "no change that
 * matters", so the last value holds until the next one; a hold that is long is drawn apart, since nobody said it.
 */

import type { BucketSeries, RawSeries } from "../api/types";
import { parseTime } from "../format/time";
import { qualityOf } from "../plant/quality";
import type { Standing } from "../plant/state";

export interface Point {
  readonly time: number;
  /** null: known to be unknown (bad quality); nothing is held from here on. */
  readonly mean: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** What the signal said last at this point: it is this that holds, not the mean. */
  readonly last: number | null;
}

export interface Course {
  /** In order of time; a null breaks the line. */
  readonly points: readonly Point[];
  /** Stretches over which a value is only held, each followed by a break. */
  readonly held: readonly (readonly [number, number | null])[];
}

export const EMPTY: Course = { points: [], held: [] };

export interface Hold {
  /** Usual distance of two points, ms. */
  readonly stepMs: number;
  /** Until when the machine was heard: the last value holds no longer than that. */
  readonly until: number;
}

/** A value holds this long without a word before the hold is drawn apart, ms (or so many steps). */
const TRUSTED_MS = 60_000;
const TRUSTED_STEPS = 10;

/** Points from buckets of `bucketMs`; a bucket stands at its middle. */
export function bucketPoints(series: BucketSeries, bucketMs: number): Point[] {
  return series.time.flatMap((text, i) => {
    const time = parseTime(text);
    if (time === null) return [];
    const [mean = null, min = null, max = null, last = null] = [series.mean[i], series.min[i], series.max[i], series.last[i]];
    return [{ time: time + bucketMs / 2, mean, min, max, last }];
  });
}

export function plainPoint(time: number, value: number | null): Point {
  return { time, mean: value, min: value, max: value, last: value };
}

/** The course through points in order of time. */
export function courseOf(points: readonly Point[], { stepMs, until }: Hold): Course {
  const trusted = Math.max(TRUSTED_MS, TRUSTED_STEPS * stepMs);
  const drawn: Point[] = [];
  const held: [number, number | null][] = [];

  function hold(last: Point, to: number): void {
    if (last.last === null || to - last.time <= 1.5 * stepMs) return;
    // mean and band belong to the bucket, not to the hold behind it
    const isBand = last.min !== last.max;
    const from = isBand ? last.time + stepMs / 2 : last.time;
    if (isBand) drawn.push(plainPoint(from, last.last));
    if (to - last.time <= trusted) {
      drawn.push(plainPoint(to, last.last));
    } else {
      drawn.push(plainPoint(from + 1, null));
      held.push([from, last.last], [to, last.last], [to + 1, null]);
    }
  }

  let last: Point | undefined;
  for (const point of points) {
    if (last) hold(last, point.time - stepMs);
    drawn.push(point);
    last = point;
  }
  if (last) hold(last, until);
  return { points: drawn, held };
}

/** What holds at a time: the last of `points` not later than it (with half a step of tolerance), if it is known. */
export function pointAt(points: readonly Point[], time: number): Point | null {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.time <= time) low = middle + 1;
    else high = middle;
  }
  for (let i = low - 1; i >= 0; i--) {
    const point = points[i]!;
    // a break that only stands for a long hold lies right behind its point
    if (point.mean === null && i > 0 && point.time - points[i - 1]!.time <= 1) continue;
    return point.mean === null ? null : point;
  }
  return null;
}

export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly text: string | null;
  /** Set where nothing was said any more: how the machine stands since. */
  readonly standing?: Standing;
}

/** Text samples in order of time as stretches between `start` and `end`; equal neighbors are one, at most `most`. */
export function stretches(
  samples: readonly (readonly [number, string | null])[],
  start: number,
  end: number,
  most = 600,
): Stretch[] {
  const result: { start: number; end: number; text: string | null }[] = [];
  if (end <= start) return result;
  for (const [time, text] of samples) {
    if (time >= end) break;
    const from = Math.max(time, start);
    const last = result.at(-1);
    if (last && last.text === text) continue;
    if (last && last.start >= from) result.pop();
    else if (last) last.end = from;
    const previous = result.at(-1);
    if (previous && previous.text === text) previous.end = end;
    else result.push({ start: from, end, text });
  }
  if (result.at(-1)) result.at(-1)!.end = end;
  return result.slice(-most);
}

/** A stretch as it is shown: `mixed` if others too short to see are in it. */
export interface Part extends Stretch {
  readonly mixed: boolean;
}

/** Stretches none of which is shorter than `leastMs`, if there is room: of many short ones the most frequent is told. */
export function legible(parts: readonly Stretch[], leastMs: number): Part[] {
  const groups: Stretch[][] = [];
  const width = (group: readonly Stretch[]): number => group.at(-1)!.end - group[0]!.start;
  for (const part of parts) {
    const last = groups.at(-1);
    if (last && width(last) < leastMs) last.push(part);
    else groups.push([part]);
  }
  const rest = groups.at(-1);
  if (groups.length > 1 && rest && width(rest) < leastMs) groups.at(-2)!.push(...groups.pop()!);
  const shown: Part[] = [];
  for (const group of groups) {
    const told = prevailing(group);
    const mixed = group.some((part) => !alike(part, told));
    const before = shown.at(-1);
    const part = { ...told, start: group[0]!.start, end: group.at(-1)!.end, mixed };
    if (before && alike(before, told)) shown[shown.length - 1] = { ...part, start: before.start, mixed: mixed || before.mixed };
    else shown.push(part);
  }
  return shown;
}

const alike = (a: Stretch, b: Stretch): boolean => a.text === b.text && a.standing === b.standing;

/** The one whose like last longest in sum. */
function prevailing(group: readonly Stretch[]): Stretch {
  const sum = (one: Stretch): number => group.reduce((ms, part) => ms + (alike(part, one) ? part.end - part.start : 0), 0);
  return group.reduce((best, part) => (sum(part) > sum(best) ? part : best));
}

/** Samples of a text signal; one whose quality is not good says nothing. */
export function textSamples(series: RawSeries): [number, string | null][] {
  return series.time.flatMap((text, i): [number, string | null][] => {
    const time = parseTime(text);
    const value = series.value[i];
    const good = qualityOf(series.quality[i]) === "good";
    return time === null ? [] : [[time, good && value !== null && value !== undefined ? String(value) : null]];
  });
}
