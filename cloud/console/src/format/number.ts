/** Values of signals as text: enough digits to see a change, not more than the eye can use. */

export type Value = number | string | boolean | null | undefined;

export const NO_VALUE = "–";

/** Four significant digits or so, no exponent between 0.001 and 10 million, all digits of a whole number. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? NO_VALUE : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7) && !Number.isSafeInteger(value)) {
    return value.toExponential(3).replaceAll("-", "−");
  }
  const rounded = Number(size.toPrecision(4));
  const decimals = Number.isInteger(value) ? 0 : rounded >= 1000 ? 0 : rounded >= 100 ? 1 : rounded >= 1 ? 2 : 3;
  return fixedText(value, decimals);
}

/** A fixed number of decimals, for the values of one axis or one signal; nothing is ever "−0". */
export function fixedText(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  const [sign, digits] = text.startsWith("-") ? ["−", text.slice(1)] : ["", text];
  return `${/[1-9]/.test(digits) ? sign : ""}${group(digits)}`;
}

/** Longer whole parts than this do not fit beside an axis. */
const AXIS_MOST = 1e8;

/** The label of an axis whose labels are `interval` apart. */
export function axisText(value: number, interval: number, decimals: number): string {
  if (Math.abs(value) < AXIS_MOST || value === 0) return fixedText(value, decimals);
  const digits = Math.max(0, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(interval) + 1e-9));
  return value.toExponential(Math.min(digits, MOST_DECIMALS)).replace("+", "").replaceAll("-", "−");
}

function group(text: string): string {
  const [whole = "", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** What a signal declares of its values. */
export interface Measure {
  readonly name?: string | undefined;
  readonly datatype?: string | undefined;
  readonly unit?: string | undefined;
  readonly low?: number | null | undefined;
  readonly high?: number | null | undefined;
  /** Smallest change that is reported, in the signal's unit; 0: any. */
  readonly deadband?: number | undefined;
}

/** A range without a deadband is read to a thousandth, and left by more than a hundredth. */
const RESOLUTION_SHARE = 1e-3;
const TOLERANCE_SHARE = 1e-2;
const MOST_DECIMALS = 9;

function spanOf({ low, high }: Measure): number {
  return typeof low === "number" && typeof high === "number" && high > low ? high - low : 0;
}

/** Decimals that the values of a signal deserve; null where it declares neither a deadband nor a range. */
export function decimalsOf(measure: Measure): number | null {
  if (measure.datatype && /^u?int/.test(measure.datatype)) return 0;
  const step = measure.deadband || spanOf(measure) * RESOLUTION_SHARE;
  if (!(step > 0)) return null;
  return Math.min(MOST_DECIMALS, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
}

/** A number with the resolution of its signal; what is no further from zero than its deadband is zero. */
export function measureText(value: number, measure: Measure): string {
  const decimals = decimalsOf(measure);
  if (Math.abs(value) <= (measure.deadband ?? 0)) return fixedText(0, decimals ?? 0);
  return decimals === null || !(Math.abs(value) < 1e15) ? numberText(value) : fixedText(value, decimals);
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

/**
 * Whether a value lies outside the engineering range that its signal declares, by more than its deadband or a hundredth
 * of the range: a tank that is full, read by a sensor with noise, is no alarm.
 */
export function outOfRange(value: Value, measure: Measure): boolean {
  if (typeof value !== "number") return false;
  const tolerance = Math.max(measure.deadband ?? 0, spanOf(measure) * TOLERANCE_SHARE);
  const { low, high } = measure;
  return (typeof low === "number" && value < low - tolerance) || (typeof high === "number" && value > high + tolerance);
}
