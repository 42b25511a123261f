import type { Page } from "../page";

export const page: Page = {
  route: "/password",
  name: "password.title",
  menu: { in: "account", icon: "M3.500 7.500h9v6.500h-9zM5.500 7.500V5a2.500 2.500 0 0 1 5 0v2.500", order: 10 },
  view: () => import("./View.vue"),
};
