/** What the word of a machine's signal `execution` (MTConnect Execution) means to somebody who looks at the plant. */

export type Condition = "running" | "ready" | "interrupted" | "stopped" | "unknown";

/** What is shown for a machine: its condition, unless something says that the condition cannot be believed. */
export type Standing = Condition | "fault" | "offline" | "stale" | "quiet";

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
];

const CONDITIONS: Readonly<Record<string, Condition>> = {
  ACTIVE: "running",
  READY: "ready",
  PROGRAM_COMPLETED: "ready",
  INTERRUPTED: "interrupted",
  FEED_HOLD: "interrupted",
  WAIT: "interrupted",
  OPTIONAL_STOP: "interrupted",
  PROGRAM_STOPPED: "interrupted",
  PROGRAM_OPTIONAL_STOP: "interrupted",
  STOPPED: "stopped",
  UNAVAILABLE: "unknown",
};

type Read = (signal: string) => unknown;

/** Words with which a signal says "fault" (MTConnect EmergencyStop and Condition; stop signals of robots). */
const FAULTS: Readonly<Record<string, readonly string[]>> = {
  emergency_stop: ["TRIGGERED", "TRUE", "1"],
  protective_stop: ["TRIGGERED", "TRUE", "1"],
  condition: ["FAULT"],
};
const NO_ALARM = new Set(["", "NONE", "NORMAL", "OK", "0"]);

export function conditionOf(execution: string | null | undefined): Condition {
  return (execution && CONDITIONS[execution.toUpperCase()]) || "unknown";
}

/** What is wrong with a machine, in its own words (its signal `alarm`, else the signal that says it); null: nothing. */
export function faultOf(read: Read): string | null {
  const alarm = read("alarm");
  if (typeof alarm === "string" && !NO_ALARM.has(alarm.trim().toUpperCase())) return alarm.trim();
  for (const [signal, words] of Object.entries(FAULTS)) {
    if (words.includes(String(read(signal) ?? "").toUpperCase())) return signal;
  }
  return null;
}

export function needsAttention(standing: Standing): boolean {
  return standing === "fault" || standing === "offline" || standing === "stale" || standing === "interrupted";
}
