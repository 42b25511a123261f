/** Which stretch of time a chart shows, also as text for the address bar. */

/** `live` follows the present from the stream; `recent` ends now and is asked for again; `fixed` stays. Times in ms. */
export type Range =
  | { readonly mode: "live" | "recent"; readonly ms: number }
  | { readonly mode: "fixed"; readonly start: number; readonly end: number };

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const LIVE_MS: readonly number[] = [MINUTE, 5 * MINUTE, 15 * MINUTE];
export const RECENT_MS: readonly number[] = [HOUR, 8 * HOUR, DAY, 7 * DAY];
export const DEFAULT_RANGE: Range = { mode: "live", ms: 5 * MINUTE };

const SHORTEST_MS = 2_000;
const LONGEST_MS = 3_660 * DAY;

export function boundsOf(range: Range, now: number): [start: number, end: number] {
  return range.mode === "fixed" ? [range.start, range.end] : [now - range.ms, now];
}

/** A fixed range from `start` to `end` in either order, neither too short nor too long to be drawn. */
export function fixed(start: number, end: number): Range {
  const middle = (start + end) / 2;
  const half = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Math.abs(end - start))) / 2;
  return { mode: "fixed", start: Math.round(middle - half), end: Math.round(middle + half) };
}

/** The range moved by `share` of its width: -0.5 is half a width earlier. */
export function moved(range: Range, share: number, now: number): Range {
  const [start, end] = boundsOf(range, now);
  const by = (end - start) * share;
  return fixed(start + by, end + by);
}

/** Twice as wide around the same middle, but not beyond now. */
export function wider(range: Range, now: number): Range {
  const [start, end] = boundsOf(range, now);
  const quarter = (end - start) / 2;
  const over = Math.max(0, end + quarter - Math.max(now, end));
  return fixed(start - quarter - over, end + quarter - over);
}

export function rangeText(range: Range): string {
  if (range.mode === "fixed") return `${new Date(range.start).toISOString()}~${new Date(range.end).toISOString()}`;
  return `${range.mode}-${range.ms / 1000}`;
}

/** Read what rangeText wrote; null for anything else. */
export function parseRange(text: unknown): Range | null {
  if (typeof text !== "string") return null;
  const relative = /^(live|recent)-(\d{1,7})$/.exec(text);
  if (relative) {
    const mode = relative[1] as "live" | "recent";
    const ms = Number(relative[2]) * 1000;
    return (mode === "live" ? LIVE_MS : RECENT_MS).includes(ms) ? { mode, ms } : null;
  }
  const [start, end, ...rest] = text.split("~").map((part) => Date.parse(part));
  if (start === undefined || end === undefined || rest.length > 0 || !(start < end)) return null;
  return fixed(start, end);
}
