/** What is told of the numbers of a block. */

/** The root of the mean square; 0 of none. */
export function rms(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** Where the greatest size is; -1 where there is none. */
export function peakAt(values: readonly number[], from = 0): number {
  let at = -1;
  for (let i = from; i < values.length; i++) if (at < 0 || Math.abs(values[i]!) > Math.abs(values[at]!)) at = i;
  return at;
}
