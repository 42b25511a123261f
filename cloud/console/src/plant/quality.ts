/** Quality codes of a sample, as Sparkplug 3.0 (6.4.13) and OPC DA have them. */

export type Quality = "good" | "bad" | "stale" | "uncertain";

export function qualityOf(code: number | null | undefined): Quality {
  if (code === 500) return "stale";
  if (code === null || code === undefined || code === 0) return "bad";
  if (code === 192) return "good";
  // OPC DA packs the class into bits 6 and 7: 00 bad, 01 uncertain, 11 good
  const top = (code >> 6) & 3;
  return top === 3 ? "good" : top === 0 ? "bad" : "uncertain";
}
