/** What is told of the health of machines. */

import type { AssetHealth, Health } from "./calls";

/** The worst first; what nobody knows stands before what is well. */
export const ORDER: readonly Health[] = ["critical", "warning", "watch", "unknown", "learning", "ok"];

/** The worst first, and of one health by name. */
export function sorted(assets: readonly AssetHealth[], name: (id: string) => string): AssetHealth[] {
  return [...assets].sort(
    (a, b) => ORDER.indexOf(a.health) - ORDER.indexOf(b.health) || name(a.asset).localeCompare(name(b.asset), undefined, { numeric: true }),
  );
}

/** How many there are of each, the worst first; none of what there is not. */
export function counted(assets: readonly AssetHealth[]): { health: Health; count: number }[] {
  return ORDER.map((health) => ({ health, count: assets.filter((asset) => asset.health === health).length })).filter(({ count }) => count > 0);
}
