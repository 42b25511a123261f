/** What evidence says, and where on the data it is seen. */

import type { Evidence } from "./calls";

/** So many standard deviations on each side are usual. */
const USUAL_SIGMAS = 3;

/** What is usual of a signal by its evidence; null where the evidence does not say. */
export function bandOf({ value, expected, sigmas }: Pick<Evidence, "value" | "expected" | "sigmas">): { low: number; high: number; middle: number } | null {
  if (value == null || expected == null) return null;
  const sigma = sigmas ? Math.abs((value - expected) / sigmas) : 0;
  return { low: expected - USUAL_SIGMAS * sigma, high: expected + USUAL_SIGMAS * sigma, middle: expected };
}

/** The signals of evidence with a course, the weightiest first, each once, at most `most`. */
export function signalsOf(evidence: readonly Evidence[], known: ReadonlySet<string>, most: number): { signal: string; by: Evidence }[] {
  const shown = new Map<string, Evidence>();
  for (const each of [...evidence].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))) {
    if (known.has(each.signal) && !shown.has(each.signal)) shown.set(each.signal, each);
  }
  return [...shown].slice(0, most).map(([signal, by]) => ({ signal, by }));
}

/** The sensor whose blocks a finding stands on, and of them the block that is named; null: it stands on none. */
export function blockOf(evidence: readonly Evidence[]): { sensor: string; block: string } | null {
  const found = evidence.filter(({ sensor, block }) => sensor || block).sort((a, b) => b.weight - a.weight)[0];
  return found ? { sensor: found.sensor, block: found.block } : null;
}

/** How many times likelier (above 1) or less likely (below 1) the finding is by a weight, as a share of the strongest: -1 to 1. */
export function shareOfWeight(weight: number, all: readonly Evidence[]): number {
  const most = Math.max(...all.map((each) => Math.abs(each.weight)), 1e-9);
  return weight / most;
}

/** The multiples of a line that lie within a spectrum, at most `most`. */
export function harmonics(hz: number, highest: number, most: number): number[] {
  if (!(hz > 0)) return [];
  return Array.from({ length: most }, (_, i) => (i + 1) * hz).filter((each) => each <= highest);
}

/** Which line of a bearing the fault is seen at; empty: none. */
export function lineOf(fault: string): string {
  return ["outer", "inner", "ball", "cage"].find((part) => fault.split("_").includes(part)) ?? (fault === "motor_bearing" ? "outer" : "");
}
