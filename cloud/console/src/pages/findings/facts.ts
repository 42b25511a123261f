/** One finding in the words of the screen. */

import { useI18n } from "vue-i18n";
import { nameOf, signalName } from "../../format/names";
import { numberText } from "../../format/number";
import { ageText } from "../../format/time";
import { locale } from "../../i18n";
import { termText } from "../../i18n/terms";
import { known } from "../../plant/catalog";
import { faultName } from "../../plant/faults";
import type { Evidence, Finding, Level } from "./calls";

type Words = Finding["words"][string];
type Alternative = Finding["alternatives"][number];

/** Nobody plans by more than this. */
const LONGEST_H = 24 * 365;

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

export function useFacts() {
  const { t, te } = useI18n();

  function nameOfSignal(asset: string, signal: string): string {
    const details = known(asset);
    const announced = details?.signals.find(({ name }) => name === signal);
    return announced ? signalName(announced, locale.value, details!.kind) : nameOf(signal, locale.value);
  }

  /** Of a sensor it is the signal that lies. */
  const nameOfComponent = (asset: string, component: string, level: Level): string => (level === "sensor" ? nameOfSignal(asset, component) : component);
  const hours = (h: number): string => (h > LONGEST_H ? t("findings.overAYear") : ageText(locale.value, Math.max(60, h * 3600)));
  const measured = (value: number, unit: string): string => (unit ? `${numberText(value)} ${unit}` : numberText(value));

  return {
    nameOfSignal,
    /** What another explanation is called, and where it lies. */
    namesOf(asset: string, { words, level }: Alternative): { title: string; where: string } {
      const { title, component } = (words[locale.value] ?? words["en"])!;
      return { title, where: nameOfComponent(asset, component, level) };
    },
    wordsOf(finding: Finding): Words {
      const words = finding.words[locale.value] ?? finding.words["en"];
      if (!words) return { title: faultName(finding.fault, locale.value), component: finding.component, explanation: "", action: "", spare: "", safety: "" };
      return { ...words, component: nameOfComponent(finding.asset, words.component, finding.level) };
    },
    /** How long it will do, or why nobody can say. */
    lifeText({ life, no_life }: Pick<Finding, "life" | "no_life">): string {
      if (life) return t("findings.lifeText", { hours: hours(life.hours), low: hours(life.low_hours), high: hours(life.high_hours) });
      return no_life ? t(`findings.noLife.${no_life}`) : "–";
    },
    /** What was seen, and where. */
    seen(asset: string, { what, signal, sensor, event, line }: Evidence): string {
      const place = signal ? nameOfSignal(asset, signal) : sensor ? nameOf(sensor, locale.value) : event ? termText(event, locale.value) : "";
      const where = [place, line && t(`findings.lines.${line}`)].filter(Boolean).join(", ");
      const key = `findings.seenAs.${what}`;
      const words = te(key) ? t(key) : nameOf(what, "en").toLowerCase();
      return where ? t("findings.seenWhere", { where, words }) : words;
    },
    /** The values behind it. */
    values({ value, expected, unit, sigmas }: Evidence): string {
      const parts = [];
      if (value != null) parts.push(expected == null ? measured(value, unit) : t("findings.insteadOf", { value: measured(value, unit), expected: measured(expected, unit) }));
      if (sigmas != null) parts.push(`${sigmas > 0 ? "+" : ""}${numberText(sigmas)} σ`);
      return parts.join(" · ");
    },
  };
}
