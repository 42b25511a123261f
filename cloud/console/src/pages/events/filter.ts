/** The filters as the address of the page has them. */

import type { Asked } from "./events";

const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;
export const RECENT_S: readonly number[] = [HOUR_S, 8 * HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S];
/** The choice of a start and an end. */
export const BETWEEN = "between";

export interface Filter {
  readonly asset: string;
  readonly active: boolean;
  readonly severity: number;
  /** Seconds until now, BETWEEN, or empty: any time. */
  readonly when: string;
  /** In the zone of the browser, as its input writes them; empty: open. */
  readonly start: string;
  readonly end: string;
}

type Query = Readonly<Record<string, unknown>>;

/** Read the address; what makes no sense is as if it were not there. */
export function filterOf(query: Query): Filter {
  const text = (name: string): string => (typeof query[name] === "string" ? query[name] : "");
  const severity = Number(text("severity"));
  const time = (name: string): string => (Number.isNaN(Date.parse(text(name))) ? "" : text(name));
  return {
    asset: text("asset"),
    active: text("active") === "1",
    severity: Number.isInteger(severity) && severity >= 1 && severity <= 1000 ? severity : 1,
    when: text("when") === BETWEEN || RECENT_S.includes(Number(text("when"))) ? text("when") : "",
    start: time("start"),
    end: time("end"),
  };
}

export function isFiltered({ asset, active, severity, when }: Filter): boolean {
  return asset !== "" || active || severity > 1 || when !== "";
}

/** What is asked for at a time, ms. */
export function askedOf(filter: Filter, now: number): Asked {
  const { asset, active, severity, when } = filter;
  const chosen = (text: string): number | null => (when === BETWEEN && text ? Date.parse(text) : null);
  const recent = when !== "" && when !== BETWEEN ? now - Number(when) * 1000 : null;
  return { asset, active, severity, start: recent ?? chosen(filter.start), end: chosen(filter.end) };
}
