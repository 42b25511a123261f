import type { Page } from "../page";

export const page: Page = {
  route: "/:rest(.*)*",
  name: "nowhere.title",
  who: "everybody",
  view: () => import("./View.vue"),
};
