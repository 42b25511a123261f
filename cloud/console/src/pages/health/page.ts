import type { Page } from "../page";

export const page: Page = {
  route: "/health",
  name: "health.title",
  menu: { in: "plant", icon: "M1.500 8.500h3l1.500-5 3.500 9 2-4h3", order: 12 },
  view: () => import("./View.vue"),
  ofMachine: { order: 5, part: () => import("./OfMachine.vue") },
};
