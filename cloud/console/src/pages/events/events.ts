/** What is shown of events, and how what comes live takes its place among them. */

import type { components } from "../../api/schema";
import type { Locale } from "../../format/names";
import { parseTime } from "../../format/time";

export type Event = components["schemas"]["EventView"];

/** Which events are shown; empty or null: all. Times in ms. */
export interface Asked {
  readonly asset: string;
  /** Only the newest event of each condition that holds now. */
  readonly active: boolean;
  /** The least. */
  readonly severity: number;
  readonly start: number | null;
  readonly end: number | null;
}

export type Level = "low" | "mediumLow" | "medium" | "mediumHigh" | "high";

/** The levels of a severity with the least of each, as OPC UA part 9 maps them on the five of OPC A&E. */
export const LEVELS: readonly (readonly [level: Level, least: number])[] = [
  ["high", 801],
  ["mediumHigh", 601],
  ["medium", 401],
  ["mediumLow", 201],
  ["low", 1],
];

export function levelOf(severity: number): Level {
  return LEVELS.find(([, least]) => severity >= least)?.[0] ?? "low";
}

const isIn = (tag: string, locale: Locale): boolean => tag.toLowerCase().split(/[-_]/)[0] === locale;

/** Whether texts are in languages that are told, and the reader's is not among them. */
export function isForeign(texts: Readonly<Record<string, string>>, locale: Locale): boolean {
  const tags = Object.keys(texts);
  return tags.length > 0 && !tags.some((tag) => tag === "" || isIn(tag, locale));
}

/** The text in the language, else the one of no language, else the English one, else any. */
export function textOf(texts: Readonly<Record<string, string>>, locale: Locale): string {
  const inLanguage = Object.keys(texts).find((tag) => isIn(tag, locale));
  return (inLanguage === undefined ? "" : texts[inLanguage]) || texts[""] || texts["en"] || Object.values(texts)[0] || "";
}

const HAN = /\p{Script=Han}/u;

/** Whether a text is in words of the language, not in those of another one or an id. */
export function isReadable(text: string, locale: Locale): boolean {
  return locale === "zh" ? HAN.test(text) : text !== "" && !HAN.test(text) && !/^[a-z0-9]+([_./-][a-z0-9]+)+$/.test(text);
}

/** An event of the live stream, read with distrust; null where it has not the promised shape. */
export function readEvent(data: string): Event | null {
  let said: unknown;
  try {
    said = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof said !== "object" || said === null) return null;
  const { id, asset, name, time, condition, state, severity, texts, values, evidence } = said as Record<string, unknown>;
  const texty = [id, asset, name, time, condition, state].every((each) => typeof each === "string");
  const full = [texts, values, evidence].every((each) => typeof each === "object" && each !== null);
  return texty && full && typeof severity === "number" && Array.isArray(evidence) ? (said as Event) : null;
}

function isAsked(event: Event, { asset, severity, start, end }: Asked): boolean {
  const time = parseTime(event.time) ?? 0;
  return (asset === "" || event.asset === asset) && event.severity >= severity && (start === null || time >= start) && (end === null || time < end);
}

/** Times are ISO 8601 with nine digits: as texts they stand in their order. */
const isNewer = (a: Event, b: Event): boolean => a.time > b.time || (a.time === b.time && a.id > b.id);

/** The list with an event that came: where it belongs, once; of conditions that hold, the newest word of each. */
export function withEvent(shown: readonly Event[], event: Event, asked: Asked): readonly Event[] {
  if (shown.some(({ asset, id }) => asset === event.asset && id === event.id)) return shown;
  let rest = shown;
  if (asked.active) {
    if (event.condition === "") return shown;
    const before = shown.find(({ asset, condition }) => asset === event.asset && condition === event.condition);
    if (before && before.time > event.time) return shown;
    rest = shown.filter((each) => each !== before);
    // an acknowledgement changes nothing of what holds
    if (event.state === "cleared" || (event.state === "acknowledged" && !before)) return rest;
  }
  if (!isAsked(event, asked)) return rest;
  const at = rest.findIndex((each) => isNewer(event, each));
  return at < 0 ? [...rest, event] : [...rest.slice(0, at), event, ...rest.slice(at)];
}

/** Around an event without evidence so much of a chart is shown. */
const AROUND_MS = 5 * 60_000;

/** The part of a chart that shows something of `start` to `end`, ms: with what was before and after. */
export function around(start: number, end: number): readonly [start: number, end: number] {
  const margin = end > start ? Math.max(10_000, (end - start) / 2) : AROUND_MS;
  return [start - margin, end + margin];
}
