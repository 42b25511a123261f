/** Values of signals as text: enough digits to see a change, not more than the eye can use. */

export type Value = number | string | boolean | null | undefined;

export const NO_VALUE = "–";

/** Four significant digits or so, no exponent between 0.001 and 10 million, all digits of a whole number. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? NO_VALUE : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7) && !Number.isSafeInteger(value)) {
    return value.toExponential(3).replace("-", "−");
  }
  const rounded = Number(size.toPrecision(4));
  const decimals = Number.isInteger(value) ? 0 : rounded >= 1000 ? 0 : rounded >= 100 ? 1 : rounded >= 1 ? 2 : 3;
  return group(value.toFixed(decimals)).replace("-", "−");
}

/** A fixed number of decimals, for the values of one axis. */
export function fixedText(value: number, decimals: number): string {
  return group(value.toFixed(decimals)).replace("-", "−");
}

function group(text: string): string {
  const [whole = "", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

export function valueText(value: Value, words: { yes: string; no: string }): string {
  if (value === null || value === undefined || value === "") return NO_VALUE;
  if (typeof value === "boolean") return value ? words.yes : words.no;
  return typeof value === "number" ? numberText(value) : value;
}

/** Bytes as 1.2 MB (powers of 1000). */
export function bytesText(bytes: number): string {
  let size = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (Math.abs(size) < 1000) return `${numberText(size)} ${unit}`;
    size /= 1000;
  }
  return `${numberText(size)} TB`;
}

/** Where `value` stands between `low` and `high`, 0 to 1 and clipped; null where the range says nothing. */
export function shareOf(value: Value, low: number | null | undefined, high: number | null | undefined): number | null {
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  if (low === null || low === undefined || high === null || high === undefined || high <= low) return null;
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

/** Whether a value lies outside the engineering range that its signal declares. */
export function outOfRange(value: Value, low: number | null | undefined, high: number | null | undefined): boolean {
  if (typeof value !== "number") return false;
  return (typeof low === "number" && value < low) || (typeof high === "number" && value > high);
}
