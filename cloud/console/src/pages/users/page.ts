import type { Page } from "../page";

export const page: Page = {
  route: "/users",
  name: "users.title",
  who: "administer",
  menu: {
    in: "account",
    icon: "M6 8a2.7 2.7 0 1 0 0-5.400A2.7 2.700 0 0 0 6 8M1.500 13.500a4.5 4.500 0 0 1 9 0M10.500 2.900a2.7 2.700 0 0 1 0 4.800M12 9.600a4.5 4.500 0 0 1 2.500 3.900",
    order: 30,
  },
  view: () => import("./View.vue"),
};
