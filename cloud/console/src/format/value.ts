/** One value of a signal as text: numbers with their resolution, times as times, the words of machines in the language. */

import { termText } from "../i18n/terms";
import { wordsOf, type Locale } from "./names";
import { measureText, NO_VALUE, type Measure, type Value } from "./number";
import { ageText, exactTime } from "./time";

export interface Words {
  readonly locale: Locale;
  readonly yes: string;
  readonly no: string;
}

export interface Shown {
  readonly text: string;
  /** Empty where the text says it. */
  readonly unit: string;
}

const SECONDS: Readonly<Record<string, number>> = { ms: 1e-3, s: 1, min: 60, h: 3600 };
/** Nobody divides 4 000 s in the head: from here on a duration is told in its larger units. */
const LONG_S = 600;

export function shownValue(value: Value, measure: Measure, words: Words): Shown {
  const unit = measure.unit ?? "";
  if (value === null || value === undefined || value === "") return { text: NO_VALUE, unit: "" };
  if (measure.datatype === "boolean" && typeof value === "number") return shownValue(value !== 0, measure, words);
  if (typeof value === "boolean") return { text: value ? words.yes : words.no, unit };
  if (measure.datatype === "datetime") return { text: timeText(value), unit: "" };
  if (typeof value === "string") return { text: textOf(value, measure, words.locale), unit };
  const duration_s = value * (SECONDS[unit] ?? NaN);
  if (duration_s >= LONG_S) return { text: ageText(words.locale, duration_s), unit: "" };
  return { text: isCode(value, measure) ? String(value) : measureText(value, measure), unit };
}

/** What such a name ends in is told apart, not measured: 4711 is not 4 711. */
const CODES = new Set(["code", "id", "number"]);

function isCode(value: number, { name, unit }: Measure): boolean {
  return !unit && Number.isInteger(value) && CODES.has(wordsOf(name ?? "").at(-1) ?? "");
}

/** A time in ms since 1970, of a person's life; else the number as it came. */
function timeText(value: number | string): string {
  const ms = Number(value);
  return Number.isSafeInteger(ms) && Math.abs(ms) < 8.64e15 ? exactTime(ms).replace(/\.000$/, "") : String(value);
}

/** Text, which may be an integer that is too long for a number. */
function textOf(value: string, { datatype }: Measure, locale: Locale): string {
  if (datatype && /^u?int/.test(datatype)) return value.replace("-", "−");
  return termText(value, locale);
}

/** The text alone, for a tooltip or an axis. */
export function shownText(value: Value, measure: Measure, words: Words): string {
  const { text, unit } = shownValue(value, measure, words);
  return unit ? `${text} ${unit}` : text;
}

