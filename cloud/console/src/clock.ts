/** The time, once a second for everybody, on the server's clock: ages must not depend on the clock of a tablet. */

import { readonly, ref } from "vue";

/** Differences below this are the resolution of the Date header and the network, not a wrong clock. */
const TOLERANCE_MS = 2_000;

let offset = 0;
const current = ref(Date.now());

/** Now in ms on the server's clock, as well as it is known. */
export function serverNow(): number {
  return Date.now() + offset;
}

/** Learn the server's clock from the Date header of an answer that was asked for at `askedAt`. */
export function learnServerTime(header: string | null, askedAt: number): void {
  const said = header === null ? NaN : Date.parse(header);
  if (Number.isNaN(said)) return;
  const difference = said + 500 - (askedAt + Date.now()) / 2;
  offset = Math.abs(difference) < TOLERANCE_MS ? 0 : difference;
}

setInterval(() => (current.value = serverNow()), 1000);

/** serverNow(), renewed every second. */
export const now = readonly(current);
