/** Which few signals of a machine are worth a place on its tile. */

/** What an operator looks at first, best first; a signal counts where its name matches. */
const WANTED: readonly RegExp[] = [
  /^(spindle_speed|spindle\/speed|tcp_speed|speed|rpm)$/,
  /^(spindle_load|load|payload)$/,
  /^(feedrate|path_feedrate|feed_rate|axis_feedrate)$/,
  /^(power|active_power|total_power|power_total)$/,
  /^(part_count|parts|cycle_count|cycles|good_count)$/,
  /^(spindle_temperature|motor_temperature|temperature)$/,
  /temperature$/,
  /(current|torque|pressure|vibration|energy)$/,
];

interface Named {
  readonly name: string;
  readonly numeric: boolean;
}

/** At most `count` numeric signals, the wanted ones first, then in the order of the plant file; one of each family. */
export function keySignals<T extends Named>(signals: readonly T[], count = 4): T[] {
  const numeric = signals.filter((signal) => signal.numeric);
  const chosen: T[] = [];
  for (const pattern of WANTED) {
    const found = numeric.find((signal) => pattern.test(signal.name.toLowerCase()) && !chosen.includes(signal));
    if (found && !chosen.some((other) => family(other.name) === family(found.name))) chosen.push(found);
  }
  for (const signal of numeric) {
    if (chosen.length >= count) break;
    if (!chosen.some((other) => family(other.name) === family(signal.name))) chosen.push(signal);
  }
  return chosen.slice(0, count);
}

/** `joint1_temperature` and `joint2_temperature` are one family. */
function family(name: string): string {
  return name.toLowerCase().replace(/\d+/g, "#");
}
