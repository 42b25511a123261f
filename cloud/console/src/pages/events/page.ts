import type { Page } from "../page";

export const page: Page = {
  route: "/events",
  name: "events.title",
  menu: { in: "plant", icon: "M8 2a4 4 0 0 0-4 4v3l-1.500 2.500h11L12 9V6a4 4 0 0 0-4-4M6.500 13.500h3", order: 20 },
  view: () => import("./View.vue"),
  ofMachine: { order: 10, part: () => import("./ActiveConditions.vue") },
};
