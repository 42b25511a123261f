import type { Page } from "../page";

export const page: Page = { noun: "password", icon: "lock", order: 10, view: () => import("./View.vue") };
