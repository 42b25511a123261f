/** What a page says of itself, in its `page.ts`. */

import type { Action } from "../session";

export interface Page {
  /** Its address, as the router writes it. */
  readonly route: string;
  /** Key of the words by which it is called, in the menu and in the title of the browser. */
  readonly name: string;
  /** Who may see it: everybody, also who is not signed in, or who may do this. Without it: whoever is signed in. */
  readonly who?: "everybody" | Action;
  /** Where it is listed; without it only links lead to it. */
  readonly menu?: Place;
  readonly view: () => Promise<unknown>;
  /** What the page of a machine shows of this one: a component with the property `asset`, the machine's id; the lowest first. */
  readonly ofMachine?: { readonly order: number; readonly part: () => Promise<unknown> };
}

export interface Place {
  /** Beside the machines of the plant, or under the name of who is signed in. */
  readonly in: "plant" | "account";
  /** A path on a 16 × 16 grid. */
  readonly icon: string;
  /** The lowest first. */
  readonly order: number;
}
