import { ICONS } from "../../components/icons";
import type { Page } from "../page";

export const page: Page = {
  route: "/",
  name: "plant.title",
  menu: { in: "plant", icon: ICONS.tiles, order: 10 },
  view: () => import("./View.vue"),
};
