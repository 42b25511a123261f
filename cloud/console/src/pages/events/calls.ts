/** The calls about events. All raise ApiError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";
import type { Asked, Event } from "./events";

export type Events = components["schemas"]["Events"];

/** Rows of one page. */
export const PAGE = 50;
/** Conditions of one machine that are shown. */
const MOST_ACTIVE = 100;

/** A page of events, the newest first; `after` is what the page before it said, empty for the first. */
export function fetchEvents(asked: Asked, after = ""): Promise<Events> {
  const { asset, active, severity, start, end } = asked;
  const times = { ...(start === null ? {} : { start: iso(start) }), ...(end === null ? {} : { end: iso(end) }) };
  const query = { active, severity, limit: PAGE, ...times, ...(asset ? { asset: [asset] } : {}), ...(after ? { after } : {}) };
  return unwrap(api.GET("/api/v1/events", { params: { query } }));
}

/** What holds of a machine now, the newest first. */
export async function fetchActive(asset: string): Promise<Event[]> {
  const query = { active: true, asset: [asset], limit: MOST_ACTIVE };
  return (await unwrap<Events>(api.GET("/api/v1/events", { params: { query } }))).events;
}

const iso = (ms: number): string => new Date(ms).toISOString();
