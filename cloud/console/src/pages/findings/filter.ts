/** The filters as the address of the page has them. */

import type { Asked, Level } from "./calls";

export const LEVELS: readonly Level[] = ["machine", "sensor", "link", "process"];

/** Read the address; what makes no sense is as if it were not there. What is open is shown unless all is wanted. */
export function askedOf(query: Readonly<Record<string, unknown>>): Asked {
  const level = LEVELS.find((each) => each === query["level"]) ?? "";
  return { asset: typeof query["asset"] === "string" ? query["asset"] : "", open: query["show"] !== "all", level };
}
