import type { Page } from "../page";

export const page: Page = {
  route: "/connect",
  name: "connect.title",
  who: "configure",
  menu: { in: "plant", icon: "M5 1v4M11 1v4M3.500 5h9v3a4.500 4.500 0 0 1-9 0zM8 12.500V15", order: 40 },
  view: () => import("./View.vue"),
};
