/** How old the last word of a machine is: the server says how it stands, the clock of the screen counts the seconds. */

import { isLost, type Standing } from "./state";

export type Freshness = "live" | "quiet" | "late" | "stale" | "offline" | "never";

/** A machine that sends is heard of at least every few seconds. */
const LATE_AFTER_S = 15;

/** `seenMs` and `nowMs` are on the server's clock. */
export function freshnessOf(standing: Standing, seenMs: number | null, nowMs: number): Freshness {
  if (isLost(standing)) return standing === "stale" ? "stale" : "offline";
  if (seenMs === null) return "never";
  if (standing === "quiet") return "quiet";
  return (nowMs - seenMs) / 1000 > LATE_AFTER_S ? "late" : "live";
}
