/** How old the last word of a machine is, and whether to believe it. */

export type Freshness = "live" | "quiet" | "late" | "stale" | "offline" | "never";

/** A machine that sends is heard of at least twice a second; one that has nothing new to say may be silent a while. */
export const LATE_AFTER_S = 15;
export const STALE_AFTER_S = 60;
/** A machine that is there, but of which nothing has changed for so long, may be idle or hang: it is said. */
export const QUIET_AFTER_S = 60;

/**
 * Judge a machine by its last message. `seenMs` and `nowMs` are on the server's clock; `online` is what the gateway
 * says of its session (a death certificate came: offline at once, whatever the age); `dataMs` when there was last
 * anything new of it, null where nobody says.
 */
export function freshnessOf(seenMs: number | null, nowMs: number, online: boolean, dataMs: number | null = null): Freshness {
  if (!online) return "offline";
  if (seenMs === null) return "never";
  const age_s = (nowMs - seenMs) / 1000;
  if (age_s > STALE_AFTER_S) return "stale";
  if (age_s > LATE_AFTER_S) return "late";
  return dataMs !== null && (nowMs - dataMs) / 1000 > QUIET_AFTER_S ? "quiet" : "live";
}
