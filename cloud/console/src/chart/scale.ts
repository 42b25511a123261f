/** The value axis of a chart: round limits around the data that do not make noise look like an event. */

export interface Scale {
  readonly min: number;
  readonly max: number;
  readonly interval: number;
  /** Decimals that the labels need. */
  readonly decimals: number;
}

/** At least this share of a signal's engineering range is shown, however little it moves. */
const SMALLEST_SHARE = 0.04;

/**
 * Limits for data from `low` to `high`, in about `ticks` steps of 1, 2 or 5 × 10ⁿ. `span` is the width of the
 * engineering range (0: unknown).
 */
export function scaleOf(low: number, high: number, span = 0, ticks = 4): Scale {
  if (!(low <= high)) return { min: 0, max: 1, interval: 0.5, decimals: 1 };
  const size = Math.max(Math.abs(low), Math.abs(high));
  const least = Math.max(span * SMALLEST_SHARE, size * 1e-3, 1e-6);
  const middle = (low + high) / 2;
  const half = Math.max(high - low, least) / 2;
  // what lies close to zero stands on zero, so that "stopped" is the bottom line
  const near = low >= -0.02 * (high - low) && high > 0;
  const bottom = near && middle - half < (high - low) * 0.5 ? 0 : middle - half;
  const top = middle + half;
  const interval = roundStep((top - bottom) / ticks);
  const min = Math.floor(bottom / interval + 1e-9) * interval;
  const max = Math.ceil(top / interval - 1e-9) * interval;
  return { min, max, interval, decimals: Math.max(0, -Math.floor(Math.log10(interval) + 1e-9)) };
}

function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = step / power;
  return (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10) * power;
}
