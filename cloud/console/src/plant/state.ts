/** How a machine stands: decided by the server for every screen; here is only how it is shown. */

import type { components } from "../api/schema";
import { stateWord } from "./kinds";

export type Standing = components["schemas"]["AssetStatus"]["standing"];
export type Condition = components["schemas"]["AssetStatus"]["condition"];

/** Every standing, the one that needs a person first. */
export const STANDINGS: readonly Standing[] = [
  "fault",
  "offline",
  "stale",
  "interrupted",
  "stopped",
  "quiet",
  "running",
  "ready",
  "unknown",
  "retired",
];

export function needsAttention(standing: Standing): boolean {
  return standing === "fault" || standing === "offline" || standing === "stale" || standing === "interrupted";
}

/** Whether what is known of a machine is not the present. */
export function isLost(standing: Standing): boolean {
  return standing === "offline" || standing === "stale" || standing === "retired";
}

/** What a word of a machine's state meant, by the table that the server gives with the machine. */
export function conditionOf(word: string | null, conditions: Readonly<Record<string, Condition>>): Condition {
  if (word === null) return "unknown";
  return conditions[stateWord(word)] ?? "unknown";
}
