import type { Page } from "../page";

export const page: Page = {
  route: "/tokens",
  name: "tokens.title",
  menu: { in: "account", icon: "M5.500 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6M7.700 7.900L13.500 2M11 4.600l2 2", order: 20 },
  view: () => import("./View.vue"),
};
