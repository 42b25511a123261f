/** The last minutes of one signal per machine, for the small trends of the plant page. */

import { shallowReactive } from "vue";
import { ApiError } from "../../api/client";
import { fetchHistory } from "../../plant/calls";
import { serverNow } from "../../clock";
import { parseTime } from "../../format/time";
import { Ring } from "../../chart/ring";
import type { Machine } from "../../plant/machine";

export const TREND_MS = 10 * 60_000;
export const STEP_MS = 5_000;
/** Machines whose trend is kept; a larger plant shows none for the rest. */
const CAPACITY = 200;

interface Trend {
  readonly signal: string;
  readonly ring: Ring;
  /** Counts up when there is something new to draw. */
  version: number;
}

const trends = shallowReactive(new Map<string, Trend>());

/** Forget every trend (somebody else signs in, the page is left). */
export function forget(): void {
  trends.clear();
}

/** The trend of a machine's signal; begins it with the history when it is new. */
export function follow(machine: Machine, signal: string): Trend | null {
  const known = trends.get(machine.id);
  if (known?.signal === signal) return known;
  if (!known && trends.size >= CAPACITY) return null;
  const trend = shallowReactive<Trend>({ signal, ring: new Ring(2 * (TREND_MS / STEP_MS)), version: 0 });
  trends.set(machine.id, trend);
  queue = queue.then(() => seed(machine.id, trend));
  return trend;
}

/** Take a live value, at most one every five seconds; NaN: it is not known. */
export function note(id: string, time: number, value: number): void {
  const trend = trends.get(id);
  if (!trend || (time < trend.ring.lastTime + STEP_MS && !Number.isNaN(value))) return;
  if (trend.ring.push(time, value)) trend.version++;
}

/** One history at a time: opening the page must not be a burst of queries. */
let queue = Promise.resolve();

async function seed(id: string, trend: Trend): Promise<void> {
  if (trends.get(id) !== trend) return;
  const end = serverNow();
  try {
    const history = await fetchHistory({ asset: id, signals: [trend.signal], start: end - TREND_MS, end, points: TREND_MS / STEP_MS });
    const series = history.series[0];
    if (series?.kind !== "buckets") return;
    const live = trend.ring.pairs();
    trend.ring.clear();
    for (const [i, time] of series.time.entries()) trend.ring.push(parseTime(time) ?? NaN, series.last[i] ?? NaN);
    for (const [time, value] of live) trend.ring.push(time, value ?? NaN);
    trend.version++;
  } catch (error) {
    // the trend then begins now
    if (!(error instanceof ApiError)) throw error;
  }
}
