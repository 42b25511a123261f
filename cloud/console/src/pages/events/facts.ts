/** One event in the words of the screen. */

import { useI18n } from "vue-i18n";
import { rangeText, fixed } from "../../chart/range";
import { nameOf, signalName } from "../../format/names";
import { parseTime } from "../../format/time";
import { locale } from "../../i18n";
import { termText } from "../../i18n/terms";
import { useValues } from "../../i18n/values";
import { known } from "../../plant/catalog";
import { around, isForeign, isReadable, textOf, type Event } from "./events";

export interface Link {
  readonly text: string;
  readonly to: string;
}

/** A machine may tell more than anybody reads in a row. */
const MOST_VALUES = 6;

/** An event in words: what is read first, what more there is, and the source's own id where words stand in its place. */
export interface Told {
  readonly name: string;
  readonly text: string;
  readonly code: string;
  /** The words are the machine's own, in a language that is not the reader's. */
  readonly own: boolean;
}

export function useFacts() {
  const { t, te } = useI18n();
  const { text } = useValues();

  function nameOfSignal(asset: string, signal: string): string {
    const details = known(asset);
    const announced = details?.signals.find(({ name }) => name === signal);
    return announced ? signalName(announced, locale.value, details!.kind) : nameOf(signal, locale.value);
  }

  function chart(asset: string, start: number, end: number, signal = ""): Link {
    const range = encodeURIComponent(rangeText(fixed(...around(start, end))));
    const signals = signal ? `&signals=${encodeURIComponent(signal)}` : "";
    const words = signal ? t("events.chartOf", { name: nameOfSignal(asset, signal) }) : t("events.chart");
    return { text: words, to: `/machines/${encodeURIComponent(asset)}?range=${range}${signals}` };
  }

  return {
    told(event: Event): Told {
      const name = termText(event.name, locale.value);
      const raw = textOf(event.texts, locale.value);
      const said = termText(raw, locale.value);
      const foreign = said === raw && isForeign(event.texts, locale.value);
      const own = event.source === "machine" && (foreign || ![name, said].some((text) => isReadable(text, locale.value)));
      if (said && said !== name && isReadable(said, locale.value) && !isReadable(name, locale.value)) return { name: said, text: "", code: event.name, own };
      return { name, text: said === name ? "" : said, code: "", own };
    },
    values({ asset, values }: Event): { name: string; text: string }[] {
      return Object.entries(values)
        .slice(0, MOST_VALUES)
        .map(([name, value]) => {
          const measure = known(asset)?.signals.find((signal) => signal.name === name);
          // a whole number that no signal measures is a code, which is not split into thousands
          const isCode = !measure && Number.isInteger(value);
          const fact = `events.facts.${name}`;
          const words = !measure && te(fact) ? t(fact) : nameOfSignal(asset, name);
          if (name === "signal" && typeof value === "string") return { name: words, text: nameOfSignal(asset, value) };
          return { name: words, text: isCode ? String(value) : text(value, measure ?? {}) };
        });
    },
    /** Where that is seen: what the source names, else the chart of the time, of a signal whose value it tells. */
    evidence({ asset, evidence, time, values }: Event): Link[] {
      const links = evidence.map(({ signal, block, start, end }) =>
        block
          ? { text: t("events.block"), to: `/blocks/${encodeURIComponent(block)}` }
          : chart(asset, parseTime(start) ?? 0, parseTime(end) ?? 0, signal),
      );
      const at = parseTime(time) ?? 0;
      const measured = known(asset)?.signals.find(({ name }) => name in values);
      return links.length > 0 ? links : [chart(asset, at, at, measured?.name)];
    },
  };
}
