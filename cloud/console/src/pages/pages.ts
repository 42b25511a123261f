/** Every page: a folder here with a `page.ts`. */

import { defineAsyncComponent, type Component } from "vue";
import type { RouteRecordRaw } from "vue-router";
import { may } from "../session";
import type { Page, Place } from "./page";

const found = import.meta.glob<{ page: Page }>("./*/page.ts", { eager: true });

/** By noun, which is the name of the folder, of the route and of the words. */
export const pages: ReadonlyMap<string, Page> = new Map(Object.entries(found).map(([path, { page }]) => [path.split("/").at(-2)!, page]));

/** The pages of a menu that who is signed in may see, in their order. */
export function listed(menu: Place["in"]): { noun: string; name: string; icon: string }[] {
  return [...pages]
    .flatMap(([noun, page]) => (page.menu?.in === menu && mayBeSeen(page) ? [{ noun, name: page.name, ...page.menu }] : []))
    .sort((a, b) => a.order - b.order);
}

/** What pages show of a machine on its page. */
export const machineParts: readonly Component[] = [...pages.values()]
  .flatMap(({ ofMachine }) => ofMachine ?? [])
  .sort((a, b) => a.order - b.order)
  .map(({ part }) => defineAsyncComponent(part as () => Promise<Component>));

export function isOpen(page: Page): boolean {
  return page.who === "everybody";
}

/** Whether somebody who is signed in may see it. */
export function mayBeSeen({ who }: Page): boolean {
  return who === undefined || who === "everybody" || may(who);
}

export const routes: readonly RouteRecordRaw[] = [...pages].map(([noun, { route, view }]) => ({
  path: route,
  name: noun,
  component: view as () => Promise<never>,
  props: route.includes(":id"),
}));
