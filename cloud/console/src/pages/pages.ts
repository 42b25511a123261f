/** Every page of the menu: a folder here with a `page.ts`. */

import type { RouteRecordRaw } from "vue-router";
import type { Page } from "./page";

const found = import.meta.glob<{ page: Page }>("./*/page.ts", { eager: true });

export const pages: readonly Page[] = Object.values(found)
  .map(({ page }) => page)
  .sort((a, b) => a.order - b.order);

export const pageRoutes: readonly RouteRecordRaw[] = pages.map(({ noun, action, view }) => ({
  path: `/${noun}`,
  name: noun,
  component: view as () => Promise<never>,
  meta: { action },
}));
