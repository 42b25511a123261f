import type { Page } from "../page";

export const page: Page = {
  route: "/login",
  name: "login.title",
  who: "everybody",
  view: () => import("./View.vue"),
};
