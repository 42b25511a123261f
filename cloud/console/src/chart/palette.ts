/** Colors of lines: apart from each other, calm, and none of the colors that mean an alarm. */

export const MAX_SERIES = 8;

const LIGHT = ["#2f6db5", "#2c8c7c", "#7a6a2b", "#5b6fb8", "#4c8a3f", "#a0567a", "#607d8b", "#8a5a3c"];
const DARK = ["#6fa8e8", "#4fc1ac", "#c9b458", "#94a3ec", "#87c777", "#e08db3", "#9bb5c2", "#d29c78"];

export function seriesColor(slot: number, dark: boolean): string {
  return (dark ? DARK : LIGHT)[slot % MAX_SERIES]!;
}
