import type { Page } from "../page";

export const page: Page = {
  route: "/machines/:id",
  name: "machine.title",
  view: () => import("./View.vue"),
};
