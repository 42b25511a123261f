import { ICONS } from "../../components/icons";
import type { Page } from "../page";

export const page: Page = {
  route: "/retired",
  name: "retired.title",
  who: "configure",
  menu: { in: "account", icon: ICONS.archive, order: 40 },
  view: () => import("./View.vue"),
};
