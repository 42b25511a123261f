/** Wait before the n-th try in a row (n from 0), in ms: doubling from half a second to 15 s, with jitter in [½, 1). */
export function backoffMs(tries: number, random: number = Math.random()): number {
  const ceiling = Math.min(15_000, 500 * 2 ** Math.min(tries, 10));
  return Math.round(ceiling * (0.5 + random / 2));
}
