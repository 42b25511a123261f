/** The signals of each machine as they were announced; asked for once and kept, at most one call at a time for each. */

import { shallowReactive } from "vue";
import { ApiError } from "../api/client";
import { fetchAsset } from "./calls";
import type { Asset, Signal } from "../api/types";
import type { Machine } from "./machine";

const TEXT = new Set(["string"]);
const NOT_MEASURED = new Set(["string", "boolean", "datetime"]);

/** Assets whose details are kept; the one that was learned first is forgotten first. */
const CAPACITY = 500;

const details = shallowReactive(new Map<string, Asset>());
const asked = new Map<string, Promise<Asset>>();

export function isText(signal: Signal): boolean {
  return TEXT.has(signal.datatype);
}

/** Whether a signal has a course that is worth a line in a chart. */
export function isNumeric(signal: Signal): boolean {
  return !NOT_MEASURED.has(signal.datatype);
}

/** Details of an asset, from memory when they are there. Raises ApiError. */
export function learn(id: string, how: "cached" | "fresh" = "cached"): Promise<Asset> {
  const known = details.get(id);
  if (known && how === "cached") return Promise.resolve(known);
  const running = asked.get(id);
  if (running) return running;
  const call = fetchAsset(id)
    .then((asset) => {
      details.set(id, asset);
      const oldest = details.keys().next();
      if (details.size > CAPACITY && !oldest.done) details.delete(oldest.value);
      return asset;
    })
    .finally(() => asked.delete(id));
  asked.set(id, call);
  return call;
}

/** What is known of an asset's signals now, without asking. */
export function known(id: string): Asset | undefined {
  return details.get(id);
}

export type KeySignal = Pick<Signal, "name" | "unit" | "low" | "high" | "description" | "deadband" | "datatype">;

/** The few signals for a machine's tile: until its details are learned, what is known of them without. */
export function tileSignals(machine: Pick<Machine, "id" | "keySignals" | "units">): KeySignal[] {
  const signals = details.get(machine.id)?.signals ?? [];
  return machine.keySignals.map(
    (name) =>
      signals.find((signal) => signal.name === name) ?? {
        name,
        unit: machine.units.get(name) ?? "",
        low: null,
        high: null,
        description: "",
        deadband: 0,
        datatype: "",
      },
  );
}

/** Learn the signals of machines one after the other; the ones that fail are left for the next time. */
export async function learnAll(machines: readonly Machine[]): Promise<void> {
  for (const machine of machines) {
    if (details.has(machine.id)) continue;
    try {
      await learn(machine.id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 0) return;
    }
  }
}
