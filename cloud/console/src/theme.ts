/** Dark or light; public/theme.js has set the class before the first paint. */

import { readonly, ref } from "vue";
import { remember } from "./memory";

const isDark = ref(document.documentElement.classList.contains("dark"));

export const dark = readonly(isDark);

export function toggleTheme(): void {
  isDark.value = !isDark.value;
  document.documentElement.classList.toggle("dark", isDark.value);
  remember("theme", isDark.value ? "dark" : "light");
}
