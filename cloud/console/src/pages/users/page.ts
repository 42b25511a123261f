import type { Page } from "../page";

export const page: Page = { noun: "users", icon: "users", action: "administer", order: 30, view: () => import("./View.vue") };
