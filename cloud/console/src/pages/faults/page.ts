import type { Page } from "../page";

export const page: Page = {
  route: "/faults",
  name: "faults.title",
  who: "inject",
  menu: { in: "plant", icon: "M9 1.500L3.500 9H8l-1 5.500L12.500 7H8z", order: 30 },
  view: () => import("./View.vue"),
};
