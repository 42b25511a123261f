import type { Page } from "../page";

export const page: Page = {
  route: "/blocks/:id",
  name: "blocks.title",
  view: () => import("./View.vue"),
  ofMachine: { order: 20, part: () => import("./RecentBlocks.vue") },
};
