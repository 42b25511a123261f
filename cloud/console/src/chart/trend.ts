/** The data of one machine's trend: history for the past, the stream for the present, for a handful of signals. */

import { computed, onScopeDispose, ref, shallowRef, watch, type Ref } from "vue";
import { ApiError } from "../api/client";
import { fetchHistory } from "../plant/calls";
import { serverNow } from "../clock";
import { asOf, holdsUntil, onState } from "../plant/plant";
import type { Machine } from "../plant/machine";
import { qualityOf } from "../plant/quality";
import { isLost } from "../plant/state";
import { bucketPoints, courseOf, plainPoint, stretches, textSamples, type Course, type Point, type Stretch } from "./course";
import { boundsOf, DAY, MINUTE, type Range } from "./range";
import { Ring } from "./ring";

/** A live chart is redrawn this often. */
const REDRAW_MS = 500;
/** Points of a live ring: a quarter of an hour at four points a second. */
const RING_POINTS = 3_600;
/** The fastest signals are sampled this often: a bucket of this width is one sample. Of wider ones, the last counts. */
const SAMPLE_MS = 100;
/** Usual distance of two live points. */
const LIVE_STEP_MS = 1_000;
/** Samples of the state that are kept; a machine changes its state a few times a minute at most. */
const STATES = 2_000;

export interface TrendState {
  readonly loading: boolean;
  readonly error: ApiError | null;
  /** Width of a bucket of the shown history, ms; null while live. */
  readonly bucketMs: number | null;
}

/** Follow `signals` of a machine over `range`; while `frozen` a live picture stands still. `points`: width in buckets. */
export function useTrend(
  machine: Machine,
  signals: Ref<readonly string[]>,
  range: Ref<Range>,
  frozen: Ref<boolean>,
  points: () => number,
) {
  const courses = shallowRef<ReadonlyMap<string, Course>>(new Map());
  const states = shallowRef<readonly Stretch[]>([]);
  const bounds = shallowRef(boundsOf(range.value, serverNow()));
  const loading = ref(false);
  const error = shallowRef<ApiError | null>(null);
  const bucketMs = ref<number | null>(null);

  const rings = new Map<string, Ring>();
  let texts: [number, string | null][] = [];
  let abort: AbortController | null = null;
  let renewTimer: ReturnType<typeof setTimeout> | undefined;

  function redraw(): void {
    if (range.value.mode !== "live" || frozen.value) return;
    const [start, end] = boundsOf(range.value, asOf.value);
    bounds.value = [start, end];
    courses.value = new Map(
      signals.value.map((name) => {
        const points = (rings.get(name)?.pairs(start) ?? []).map(([time, value]) => plainPoint(time, value));
        return [name, drawn(name, points, LIVE_STEP_MS, start, end)];
      }),
    );
    states.value = band(start, end);
  }

  /** The states of the shown time; what the machine has not said since then is how it stands by now. */
  function band(start: number, end: number): Stretch[] {
    const until = holdsUntil(machine) ?? end;
    const said: Stretch[] = stretches(texts, start, Math.min(end, until));
    const { standing } = machine;
    const silent = until < end && texts.length > 0 && (standing === "quiet" || isLost(standing));
    return silent ? [...said, { start: Math.max(start, until), end, text: null, standing }] : said;
  }

  /** A course, with what the machine said last where the history has nothing (yet): it has not changed since. */
  function drawn(name: string, points: Point[], stepMs: number, start: number, end: number): Course {
    const last = machine.readings.get(name);
    const holds = points.length === 0 && last && last.time <= end && qualityOf(last.quality) === "good";
    const first = holds && typeof last.value === "number" ? [plainPoint(Math.max(start, last.time), last.value)] : [];
    return courseOf([...first, ...points], { stepMs, until: Math.min(end, holdsUntil(machine) ?? end) });
  }

  async function load(): Promise<void> {
    clearTimeout(renewTimer);
    abort?.abort();
    const mine = (abort = new AbortController());
    const [start, end] = boundsOf(range.value, serverNow());
    const live = range.value.mode === "live";
    loading.value = true;
    try {
      const wanted = [...signals.value];
      const [history, state] = await Promise.all([
        wanted.length === 0
          ? null
          : fetchHistory({ asset: machine.id, signals: wanted, start, end, points: live ? Math.min(RING_POINTS, Math.round((end - start) / SAMPLE_MS)) : points() }, mine.signal),
        fetchStates(start, end, mine.signal),
      ]);
      const width = (history?.bucket_s ?? 0) * 1000;
      const found = new Map<string, Point[]>();
      for (const series of history?.series ?? []) {
        if (series.kind === "buckets") found.set(series.signal, bucketPoints(series, width));
      }
      texts = state;
      error.value = null;
      if (live) {
        seed(wanted, found);
        bucketMs.value = null;
        redraw();
      } else {
        bounds.value = [start, end];
        bucketMs.value = width || null;
        courses.value = new Map(wanted.map((name) => [name, drawn(name, found.get(name) ?? [], width, start, end)]));
        states.value = band(start, Math.min(end, serverNow()));
      }
    } catch (problem) {
      if (mine.signal.aborted) return;
      if (!(problem instanceof ApiError)) throw problem;
      error.value = problem;
    } finally {
      if (abort === mine) {
        loading.value = false;
        const width = range.value.mode === "recent" ? range.value.ms : null;
        if (width !== null) renewTimer = setTimeout(() => void load(), Math.max(10_000, Math.min(MINUTE, width / 200)));
      }
    }
  }

  /** What the machine said of its state, also before the range: it holds at its start. A band that fails is none. */
  async function fetchStates(start: number, end: number, signal: AbortSignal): Promise<[number, string | null][]> {
    if (machine.stateSignal === null) return [];
    try {
      const found = await fetchHistory({ asset: machine.id, signals: [machine.stateSignal], start: start - DAY, end, points: STATES }, signal);
      const said = found.series[0];
      return said?.kind === "raw" ? textSamples(said) : [];
    } catch (problem) {
      if (signal.aborted || !(problem instanceof ApiError)) throw problem;
      return [];
    }
  }

  /** Begin the rings anew with the history; what came from the stream meanwhile follows. */
  function seed(wanted: readonly string[], found: ReadonlyMap<string, readonly Point[]>): void {
    for (const name of rings.keys()) if (!wanted.includes(name)) rings.delete(name);
    for (const name of wanted) {
      const recent = rings.get(name)?.pairs() ?? [];
      const ring = new Ring(RING_POINTS);
      for (const { time, last } of found.get(name) ?? []) ring.push(time, last ?? NaN);
      for (const [time, value] of recent) ring.push(time, value ?? NaN);
      rings.set(name, ring);
    }
  }

  const stopListening = onState((event) => {
    if (event.asset !== machine.id || range.value.mode !== "live") return;
    for (const name of signals.value) {
      const reading = event.signals.get(name);
      const ring = rings.get(name);
      if (!reading || !ring) continue;
      const good = qualityOf(reading.quality) === "good" && typeof reading.value === "number";
      ring.push(reading.time, good ? (reading.value as number) : NaN);
    }
    const state = machine.stateSignal === null ? undefined : event.signals.get(machine.stateSignal);
    const last = texts.at(-1);
    if (state && (!last || state.time > last[0])) {
      const word = qualityOf(state.quality) === "good" && state.value !== null && state.value !== undefined ? String(state.value) : null;
      texts = [...texts, [state.time, word] satisfies [number, string | null]].slice(-STATES);
    }
  });

  const redrawTimer = setInterval(redraw, REDRAW_MS);
  watch([range, () => signals.value.join(" "), () => machine.stateSignal], () => void load(), { immediate: true });
  watch(frozen, redraw);
  // after a lost connection the stream has a hole that the history may fill
  const asked = computed(() => range.value.mode === "live");
  function onVisible(): void {
    if (!document.hidden && asked.value) void load();
  }
  document.addEventListener("visibilitychange", onVisible);

  onScopeDispose(() => {
    stopListening();
    clearInterval(redrawTimer);
    clearTimeout(renewTimer);
    abort?.abort();
    document.removeEventListener("visibilitychange", onVisible);
  });
  return { courses, states, bounds, loading, error, bucketMs, reload: load };
}
