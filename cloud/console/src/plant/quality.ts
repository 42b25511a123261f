/** Quality codes of a sample, as Sparkplug 3.0 (6.4.13) and OPC DA have them. */

export type Quality = "good" | "bad" | "stale" | "uncertain";

/** Flags are added to a quality: 512 says that the time is that of arrival. */
const WITHOUT_FLAGS = 511;

export function qualityOf(said: number | null | undefined): Quality {
  if (said === null || said === undefined) return "bad";
  const code = said & WITHOUT_FLAGS;
  if (code === 500) return "stale";
  if (code === 192) return "good";
  // OPC DA packs the class into bits 6 and 7: 00 bad, 01 uncertain, 11 good
  const top = (code >> 6) & 3;
  return top === 3 ? "good" : top === 0 ? "bad" : "uncertain";
}
