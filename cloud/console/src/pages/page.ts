/** What a page says of itself, in its `page.ts`. */

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
