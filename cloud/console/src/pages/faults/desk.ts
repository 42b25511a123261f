/** What is so beside what the platform believes. */

import { parseTime } from "../../format/time";
import type { Finding, Machine } from "./calls";

export interface Truth {
  readonly sort: "fault" | "sensor" | "link";
  /** The fault's code, or how a sensor or a link fails. */
  readonly code: string;
  /** The component, or the signal whose sensor lies. */
  readonly where: string;
  /** 0 to 1; null: it has none. */
  readonly severity: number | null;
  readonly stage: string;
  /** ms. */
  readonly since: number;
}

type Belief = Pick<Finding, "id" | "asset" | "fault" | "component" | "level" | "confidence" | "first_seen" | "words">;

/** One line of the desk: what is so, what is believed of it, or one without the other. */
export interface Beside {
  readonly asset: string;
  readonly truth: Truth | null;
  readonly belief: Belief | null;
  /** right: believed and so; missed: nothing is believed yet; other: something else is; alarm: believed, but nothing is so. */
  readonly verdict: "right" | "missed" | "other" | "alarm";
  /** Seconds from the onset to the finding; null: not found, or it stood there before. */
  readonly delay_s: number | null;
}

/** What is so of a machine, the oldest first. */
export function truthsOf({ faults, sensors, links }: Machine): Truth[] {
  const truths: Truth[] = [
    ...faults
      .filter(({ since }) => since !== null)
      .map(({ fault, component, severity, stage, since }): Truth => ({ sort: "fault", code: fault, where: component, severity, stage, since: parseTime(since) ?? 0 })),
    ...sensors.map(({ signal, mode, since }): Truth => ({ sort: "sensor", code: mode, where: signal, severity: null, stage: "", since: parseTime(since) ?? 0 })),
    ...links.map(({ mode, since }): Truth => ({ sort: "link", code: mode, where: "", severity: null, stage: "", since: parseTime(since) ?? 0 })),
  ];
  return truths.sort((a, b) => a.since - b.since);
}

/** Whether a finding says what is so: the fault by its code; of sensors and links the code has their level before it. */
export function says(belief: Belief, truth: Truth): boolean {
  if (truth.sort === "fault") return belief.fault === truth.code;
  const named = belief.fault === `${truth.sort}_${truth.code}`;
  return named && (truth.sort === "link" || belief.component === truth.where);
}

/** Every truth with its belief, and every belief without a truth. */
export function beside(machine: Machine, findings: readonly Belief[]): Beside[] {
  const { asset } = machine;
  const free = findings.filter((each) => each.asset === asset);
  const truths = truthsOf(machine);
  const rows = truths.map((truth): Beside => {
    const at = free.findIndex((belief) => says(belief, truth));
    if (at < 0) return { asset, truth, belief: null, verdict: "missed", delay_s: null };
    const [belief] = free.splice(at, 1);
    const delay_s = ((parseTime(belief!.first_seen) ?? 0) - truth.since) / 1000;
    return { asset, truth, belief: belief!, verdict: "right", delay_s: delay_s >= 0 ? delay_s : null };
  });
  const rest = free.map((belief): Beside => ({ asset, truth: null, belief, verdict: truths.length ? "other" : "alarm", delay_s: null }));
  return [...rows, ...rest];
}
