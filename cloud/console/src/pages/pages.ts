/** Every page of the menu: a folder here with a `page.ts`. */

import type { RouteRecordRaw } from "vue-router";
import type { IconName } from "../components/AppIcon.vue";
import type { Action } from "../session";

export interface Page {
  /** Also the name of the route, and of its words: `<noun>.title` is what the menu says. */
  readonly noun: string;
  readonly icon: IconName;
  /** What somebody may do for whom it is there; without one it is there for all. */
  readonly action?: Action;
  /** Place in the menu, the lowest first. */
  readonly order: number;
  readonly view: () => Promise<unknown>;
}

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
