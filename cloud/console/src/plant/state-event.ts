/** The message `state` of the live stream, read with distrust: what has not the promised shape is left out. */

import { parseTime } from "../format/time";
import type { Reading, Status, Why } from "./machine";
import { STANDINGS, type Condition, type Standing } from "./state";

export interface StateEvent {
  readonly asset: string;
  /** How the machine is, as far as the event says. */
  readonly status: Partial<Status>;
  /** When the cloud heard of the machine, ms; null where the event does not say. */
  readonly seen: number | null;
  /** When there was last anything new of it, ms; null where the event does not say. */
  readonly data: number | null;
  readonly signals: ReadonlyMap<string, Reading>;
}

type Json = Record<string, unknown>;

const CONDITIONS: readonly Condition[] = ["running", "ready", "interrupted", "stopped", "unknown"];

const isObject = (x: unknown): x is Json => typeof x === "object" && x !== null && !Array.isArray(x);

export function parseStateEvent(data: string): StateEvent | null {
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    return null;
  }
  if (!isObject(body) || typeof body["asset"] !== "string") return null;
  const signals = new Map<string, Reading>();
  for (const [name, raw] of Object.entries(isObject(body["signals"]) ? body["signals"] : {})) {
    const reading = isObject(raw) ? readingOf(raw) : null;
    if (reading) signals.set(name, reading);
  }
  return {
    asset: body["asset"],
    status: statusOf(body),
    seen: timeOf(body["last_seen"]) ?? newest(signals),
    data: timeOf(body["last_data"]),
    signals,
  };
}

function statusOf(body: Json): Partial<Status> {
  const { standing, condition } = body;
  const textOrNull = (name: string, key: keyof Status): Partial<Status> => {
    const text = body[name];
    return typeof text === "string" || text === null ? { [key]: text } : {};
  };
  return {
    ...(typeof body["online"] === "boolean" ? { online: body["online"] } : {}),
    ...(STANDINGS.includes(standing as Standing) ? { standing: standing as Standing } : {}),
    ...(CONDITIONS.includes(condition as Condition) ? { condition: condition as Condition } : {}),
    ...textOrNull("state", "state"),
    ...textOrNull("state_signal", "stateSignal"),
    ...textOrNull("fault", "fault"),
    ...("why" in body ? { why: whyOf(body["why"]) } : {}),
  };
}

function whyOf(raw: unknown): Why | null {
  if (!isObject(raw) || typeof raw["text"] !== "string") return null;
  const args = Object.entries(isObject(raw["args"]) ? raw["args"] : {}).map(([name, value]) => [name, String(value)]);
  return { code: String(raw["code"] ?? ""), text: raw["text"], do: String(raw["do"] ?? ""), args: Object.fromEntries(args) };
}

function readingOf(raw: Json): Reading | null {
  const time = timeOf(raw["time"]);
  const value = raw["value"] ?? null;
  if (time === null || (typeof value === "object" && value !== null)) return null;
  const quality = raw["quality"];
  return { value: value as Reading["value"], time, quality: typeof quality === "number" ? quality : 192 };
}

function newest(signals: ReadonlyMap<string, Reading>): number | null {
  const times = [...signals.values()].map((reading) => reading.time);
  return times.length === 0 ? null : Math.max(...times);
}

/** A time as ISO 8601 text or as ms since 1970. */
function timeOf(raw: unknown): number | null {
  if (typeof raw === "number" && Number.isFinite(raw)) return raw;
  return typeof raw === "string" ? parseTime(raw) : null;
}
