import type { Page } from "../page";

export const page: Page = {
  route: "/findings/:id?",
  name: "findings.title",
  menu: { in: "plant", icon: "M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9M10.300 10.300L14 14M4.500 7h1.500l1-2 1 3.500 1-1.500", order: 15 },
  view: () => import("./View.vue"),
};
