/** Events of the live stream, read with distrust: what has not the promised shape is left out. */

import { parseTime } from "../format/time";
import type { Reading } from "./plant";

export interface StateEvent {
  readonly asset: string;
  readonly online: boolean;
  /** When the cloud heard of the machine, ms; null where the event does not say. */
  readonly seen: number | null;
  /** When there was last anything new of it, ms; null where the event does not say. */
  readonly data: number | null;
  readonly signals: ReadonlyMap<string, Reading>;
}

type Json = Record<string, unknown>;

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
    online: body["online"] !== false,
    seen: timeOf(body["last_seen"]) ?? newest(signals),
    data: timeOf(body["last_data"]),
    signals,
  };
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
