/** The language of the screens: chosen by the user, else by the browser. */

import { computed } from "vue";
import { createI18n } from "vue-i18n";
import type { Locale } from "../format/names";
import { recall, remember } from "../memory";
import type en from "./en";

export type Messages = typeof en;

export const i18n = createI18n<[Messages], Locale, false>({
  legacy: false,
  locale: "en",
  fallbackLocale: false,
  missingWarn: true,
});

/** The words of the pages, each under its noun. */
const ofPages = import.meta.glob<Record<Locale, object>>("../pages/*/words.ts", { eager: true });

export function pageWords(language: Locale): Record<string, object> {
  return Object.fromEntries(Object.entries(ofPages).map(([path, words]) => [path.split("/").at(-2)!, words[language]]));
}

const loaders = { en: () => import("./en"), zh: () => import("./zh") };

function preferred(): Locale {
  const stored = recall("locale");
  if (stored === "en" || stored === "zh") return stored;
  return navigator.languages.some((language) => language.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

/** Load a language and show it; without an argument the preferred one. */
export async function useLanguage(locale: Locale = preferred()): Promise<void> {
  const messages = await loaders[locale]();
  i18n.global.setLocaleMessage(locale, { ...messages.default, ...pageWords(locale) });
  i18n.global.locale.value = locale;
  document.documentElement.lang = locale === "zh" ? "zh-CN" : "en";
}

export async function chooseLanguage(locale: Locale): Promise<void> {
  await useLanguage(locale);
  remember("locale", locale);
}

export const locale = computed<Locale>(() => i18n.global.locale.value);
