/** A machine as the screens know it. */

import { shallowReactive } from "vue";
import { parseTime } from "../format/time";
import type { Value } from "../format/number";
import type { Condition, Standing } from "./state";

export interface Reading {
  readonly value: Value;
  readonly quality: number;
  /** ms since 1970, the machine's clock. */
  readonly time: number;
}

/** Why a machine is not there: `code` for translations, what to `do` may be empty. */
export interface Why {
  readonly code: string;
  readonly text: string;
  readonly do: string;
  readonly args: Readonly<Record<string, string>>;
}

/** How a machine is, as the server says it. */
export interface Status {
  online: boolean;
  standing: Standing;
  condition: Condition;
  /** What the signal that tells its state says; null: it has none, or says nothing. */
  state: string | null;
  stateSignal: string | null;
  /** What is wrong, in the machine's own words. */
  fault: string | null;
  why: Why | null;
  /** The few numbers to look at first. */
  keySignals: readonly string[];
}

export interface Machine extends Status {
  readonly id: string;
  readonly kind: string;
  readonly names: Readonly<Record<string, string>>;
  readonly label: string;
  readonly place: Place;
  /** When the cloud last heard of it, ms on the server's clock. */
  seen: number | null;
  /** When there was last anything new of it, ms on the server's clock. */
  data: number | null;
  readonly readings: Map<string, Reading>;
  /** Units of the signals, as far as they are known. */
  readonly units: Map<string, string>;
}

export interface Place {
  readonly enterprise: string;
  readonly site: string;
  readonly area: string;
  readonly line: string;
}

export interface PlantEntry {
  readonly id: string;
  readonly kind: string;
  readonly names: Readonly<Record<string, string>>;
  readonly label: string;
  readonly place: Place;
  readonly status: Status;
  readonly last_seen: string | null;
  readonly last_data: string | null;
}

/** When it was last heard, and when there was last anything new of it, in ms. */
export const timesOf = (entry: PlantEntry) => ({ seen: parseTime(entry.last_seen), data: parseTime(entry.last_data) });

/** A machine as it was announced, with the readings that are known of it. */
export function machineOf(entry: PlantEntry, known?: Pick<Machine, "readings" | "units">): Machine {
  const { id, kind, names, label, place, status } = entry;
  return shallowReactive({
    ...{ id, kind, names, label, place },
    ...status,
    ...timesOf(entry),
    readings: shallowReactive(known?.readings ?? new Map<string, Reading>()),
    units: shallowReactive(known?.units ?? new Map<string, string>()),
  });
}

/** An edge node reports on itself; it is shown beside its line, not among the machines. */
export function isNode(machine: Machine): boolean {
  return machine.kind === "node";
}
