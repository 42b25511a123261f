/** Values of signals in the language of the screen. */

import { useI18n } from "vue-i18n";
import type { Measure, Value } from "../format/number";
import { shownText, shownValue, type Shown, type Words } from "../format/value";
import { locale } from ".";

export function useValues() {
  const { t } = useI18n();
  const words = (): Words => ({ locale: locale.value, yes: t("common.yes"), no: t("common.no") });
  return {
    shown: (value: Value, measure: Measure): Shown => shownValue(value, measure, words()),
    text: (value: Value, measure: Measure): string => shownText(value, measure, words()),
  };
}
