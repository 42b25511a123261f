/** What kinds of machines say of themselves: how they are called and drawn, and the words of their states. */

import { shallowRef } from "vue";
import type { components } from "../api/schema";
import { ICONS, type IconName } from "../components/icons";
import { titleOf, type Locale } from "../format/names";

export type Kinds = components["schemas"]["KindsView"];
type Kind = Kinds["any"];

const known = shallowRef<Kinds | null>(null);

/** Take the kinds as the server gives them. */
export function learnKinds(kinds: Kinds): void {
  known.value = kinds;
}

export function areKindsKnown(): boolean {
  return known.value !== null;
}

/** What a kind says; of a kind that nobody told of, what holds for all. */
function kindOf(kind: string): Kind | undefined {
  return known.value?.kinds[kind] ?? known.value?.any;
}

export function kindName(kind: string, locale: Locale): string {
  return known.value?.kinds[kind]?.names[locale] || titleOf(kind, locale);
}

export function kindIcon(kind: string): IconName {
  const icon = kindOf(kind)?.icon ?? "";
  return icon in ICONS ? (icon as IconName) : "device";
}

/** The word of a state as the server's tables have it: in small letters, with _ between. */
export function stateWord(text: string): string {
  return text.trim().toLowerCase().split(/[\s_-]+/).join("_");
}

/** The word of a machine's state in the language; one that its kind does not know is shown as it came. */
export function stateText(text: string, locale: Locale, kind = ""): string {
  return kindOf(kind)?.states[stateWord(text)]?.names[locale] ?? text;
}
