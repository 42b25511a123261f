/** The names of faults: what the rules that find them say. */

import { shallowRef } from "vue";
import type { components } from "../api/schema";
import { nameOf, type Locale } from "../format/names";

export type Rules = Readonly<Record<string, components["schemas"]["RuleView"]>>;

const known = shallowRef<Rules | null>(null);

/** Take the rules as the server gives them. */
export function learnRules(rules: Rules): void {
  known.value = rules;
}

export function areRulesKnown(): boolean {
  return known.value !== null;
}

/** The name of a fault; without a rule that tells one what its code says. */
export function faultName(code: string, locale: Locale): string {
  return known.value?.[code]?.title[locale] || nameOf(code, "en");
}
