/** The plant as the screens see it: every machine with its last readings, kept live by one stream. */

import { computed, reactive, readonly, shallowReactive, shallowRef } from "vue";
import { ApiError } from "../api/client";
import { LiveStream, type Link } from "../api/stream";
import { now, serverNow } from "../clock";
import { fetchKinds, fetchLast, fetchPlant, fetchRules } from "./calls";
import { areRulesKnown, learnRules } from "./faults";
import { areKindsKnown, learnKinds } from "./kinds";
import { freshnessOf, type Freshness } from "./freshness";
import { parseStateEvent, type StateEvent } from "./state-event";
import { machineOf, timesOf, type Machine, type PlantEntry } from "./machine";

/** Screens are drawn at most this often, however fast the plant talks. */
const FLUSH_MS = 250;
/** The tree is asked for again this often, and at once (but not more often than that) for an unknown machine. */
const RENEW_MS = 30_000;
const RENEW_SOONEST_MS = 3_000;
/** A tab that nobody looks at gives its connection back after this time. */
const PAUSE_AFTER_MS = 30_000;

const machines = shallowReactive(new Map<string, Machine>());
const link = shallowRef<Link>({ state: "connecting", tries: 0, retryAt: null, reason: "" });
const status = reactive({ loaded: false, renewals: 0, error: null as ApiError | null, lastContact: serverNow() });
const waiting = new Map<string, StateEvent>();
const listeners = new Set<(event: StateEvent) => void>();
const hearers = new Map<string, Set<(data: string) => void>>();

let stream: LiveStream | null = null;
let flushTimer: ReturnType<typeof setTimeout> | undefined;
let renewTimer: ReturnType<typeof setTimeout> | undefined;
let pauseTimer: ReturnType<typeof setTimeout> | undefined;
let renewedAt = 0;
let onUnauthorized = (): void => {};

/** Now, or the moment of the last contact while the live connection is down: what we cannot know does not grow old. */
export const asOf = computed(() => (link.value.state === "live" ? now.value : Math.min(now.value, status.lastContact)));

/** Whether what is shown is the present: false once a connection was lost, until it is back. */
export const linked = computed(() => link.value.state !== "waiting" && link.value.tries === 0);

export function usePlant() {
  return { machines: readonly(machines) as ReadonlyMap<string, Machine>, link: readonly(link), status: readonly(status) };
}

/** Go live; until `close`. `unauthorized` is called when the session has ended. */
export function open(unauthorized: () => void): void {
  if (stream) return;
  onUnauthorized = unauthorized;
  stream = new LiveStream("/api/v1/telemetry/stream?integers=text", {
    onLink(next) {
      link.value = next;
      if (next.state === "live") void renew();
    },
    onEvent(event) {
      if (event.type !== "state") {
        for (const hear of hearers.get(event.type) ?? []) hear(event.data);
        return;
      }
      const parsed = parseStateEvent(event.data);
      if (parsed) enqueue(parsed);
    },
    onContact() {
      status.lastContact = serverNow();
    },
    onUnauthorized: () => onUnauthorized(),
  });
  document.addEventListener("visibilitychange", onVisibility);
  stream.start();
  void renew();
}

export function close(): void {
  document.removeEventListener("visibilitychange", onVisibility);
  clearTimeout(pauseTimer);
  clearTimeout(renewTimer);
  clearTimeout(flushTimer);
  flushTimer = undefined;
  stream?.stop();
  stream = null;
  waiting.clear();
  machines.clear();
  status.loaded = false;
  status.error = null;
}

/** Try to connect now instead of when the wait is over. */
export function retry(): void {
  stream?.start();
  void renew();
}

/** Call back with each state event, at most every 250 ms per machine; returns what ends it. */
export function onState(listener: (event: StateEvent) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Call back with the data of each message of the stream of a type that is not `state`; returns what ends it. */
export function onMessage(type: string, hear: (data: string) => void): () => void {
  const hearing = hearers.get(type) ?? new Set();
  hearers.set(type, hearing.add(hear));
  return () => hearing.delete(hear);
}

function onVisibility(): void {
  clearTimeout(pauseTimer);
  if (document.hidden) pauseTimer = setTimeout(() => stream?.stop(), PAUSE_AFTER_MS);
  else stream?.start();
}

/** Keep the newest of each signal until the next flush: a queue that cannot outgrow the plant. */
function enqueue(event: StateEvent): void {
  const known = waiting.get(event.asset);
  waiting.set(
    event.asset,
    known
      ? {
          ...event,
          seen: event.seen ?? known.seen,
          data: event.data ?? known.data,
          status: { ...known.status, ...event.status },
          signals: new Map([...known.signals, ...event.signals]),
        }
      : event,
  );
  flushTimer ??= setTimeout(flush, FLUSH_MS);
}

function flush(): void {
  flushTimer = undefined;
  let unknown = false;
  for (const event of waiting.values()) {
    const machine = machines.get(event.asset);
    if (!machine) {
      unknown = true;
      continue;
    }
    Object.assign(machine, event.status);
    if (event.seen !== null) machine.seen = Math.max(machine.seen ?? 0, event.seen);
    if (event.data !== null) machine.data = Math.max(machine.data ?? 0, event.data);
    for (const [name, reading] of event.signals) machine.readings.set(name, reading);
    for (const listener of listeners) listener(event);
  }
  waiting.clear();
  if (unknown) renewSoon(RENEW_SOONEST_MS);
}

/** Ask for the plant at once: something was done to it. */
export async function renewNow(): Promise<void> {
  await renew();
}

function renewSoon(afterMs: number): void {
  clearTimeout(renewTimer);
  renewTimer = setTimeout(() => void renew(), Math.max(0, renewedAt + afterMs - Date.now()));
}

/** Ask for the tree and the last values; on failure the screens keep what they have and say so. */
async function renew(): Promise<void> {
  if (!stream) return;
  renewedAt = Date.now();
  renewSoon(RENEW_MS);
  try {
    const [tree, last, kinds, rules] = await Promise.all([
      fetchPlant(), fetchLast(), areKindsKnown() ? null : fetchKinds(), areRulesKnown() ? null : fetchRules(),
    ]);
    if (!stream) return;
    if (kinds) learnKinds(kinds);
    if (rules) learnRules(rules);
    merge(tree.filter((entry) => entry.status.standing !== "retired"));
    for (const row of last) {
      const machine = machines.get(row.asset);
      if (!machine) continue;
      machine.units.set(row.signal, row.unit);
      const known = machine.readings.get(row.signal);
      if (!known || known.time < row.time) machine.readings.set(row.signal, row);
    }
    status.loaded = true;
    status.renewals += 1;
    status.error = null;
    status.lastContact = serverNow();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 || error.code === "must_set_password") onUnauthorized();
    else status.error = error;
  }
}

function merge(tree: readonly PlantEntry[]): void {
  const present = new Set(tree.map((entry) => entry.id));
  for (const id of machines.keys()) if (!present.has(id)) machines.delete(id);
  for (const entry of tree) {
    const known = machines.get(entry.id);
    const { seen, data } = timesOf(entry);
    if (known && known.kind === entry.kind && same(known, entry)) {
      Object.assign(known, entry.status);
      known.seen = seen === null ? known.seen : Math.max(known.seen ?? 0, seen);
      known.data = data === null ? known.data : Math.max(known.data ?? 0, data);
    } else {
      machines.set(entry.id, machineOf(entry, known));
    }
  }
}

function same(machine: Machine, entry: PlantEntry): boolean {
  return (
    JSON.stringify([machine.names, machine.label, Object.values(machine.place)]) ===
    JSON.stringify([entry.names, entry.label, Object.values(entry.place)])
  );
}

export function freshness(machine: Machine): Freshness {
  return freshnessOf(machine.standing, machine.seen, asOf.value);
}

/** Until when what a machine said last is shown to hold; null: nobody knows. */
export function holdsUntil(machine: Machine): number | null {
  return machine.standing === "quiet" ? machine.data : machine.seen;
}
