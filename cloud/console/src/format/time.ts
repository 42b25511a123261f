/** Times as people read them, in the zone of the browser, which the top bar names. */

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
/** What the zone is called beside its offset; empty where that says it all. */
export const ZONE_NAME = /^(Etc\/)?(UTC|GMT|UCT|Zulu)/.test(ZONE) ? "" : ZONE;

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = `${locale} ${key}`;
  let made = formats.get(name);
  if (!made) {
    made = new Intl.DateTimeFormat(locale, { ...options, hourCycle: "h23" });
    formats.set(name, made);
  }
  return made;
}

/** Milliseconds since 1970 of an ISO 8601 time; digits beyond the millisecond are cut. Null if it is no time. */
export function parseTime(text: string | null | undefined): number | null {
  if (!text) return null;
  const ms = Date.parse(text.replace(/(\.\d{3})\d+/, "$1"));
  return Number.isNaN(ms) ? null : ms;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** 14:03:07 */
export function clockTime(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** 2026-11-02 14:03:07, the same in every language: it is compared and copied, not read aloud. */
export function dateTime(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clockTime(ms)}`;
}

/** 2026-11-02 14:03:07.250 */
export function exactTime(ms: number): string {
  return `${dateTime(ms)}.${String(new Date(ms).getMilliseconds()).padStart(3, "0")}`;
}

/** The offset from UTC at a time: UTC+8, UTC−3:30, UTC. */
export function utcOffset(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${two(rest)}` : ""}`;
}

/** Mon 2 Nov / 11月2日 周一 */
export function dayName(locale: string, ms: number): string {
  return format(locale, "day", { weekday: "short", month: "short", day: "numeric" }).format(ms);
}

const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
] as const;

/** An age of `seconds` in at most two units: "4 s", "3 min", "2 h 5 min"; never below zero. */
export function ageText(locale: string, seconds: number): string {
  const words =
    locale === "zh" ? { d: " 天", h: " 小时", min: " 分", s: " 秒" } : { d: " d", h: " h", min: " min", s: " s" };
  const whole = Math.max(0, Math.floor(seconds));
  for (const [i, [unit, size]] of UNITS.entries()) {
    if (whole < size) continue;
    const next = UNITS[i + 1];
    const rest = next ? Math.floor((whole % size) / next[1]) : 0;
    const tail = next && rest && whole < size * 10 ? ` ${rest}${words[next[0]]}` : "";
    return `${Math.floor(whole / size)}${words[unit]}${tail}`;
  }
  return `${whole}${words.s}`;
}
