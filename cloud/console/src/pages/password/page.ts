import type { Page } from "../pages";

export const page: Page = { noun: "password", icon: "lock", order: 10, view: () => import("./View.vue") };
