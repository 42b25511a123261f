import type { Page } from "../page";

export const page: Page = { noun: "tokens", icon: "key", order: 20, view: () => import("./View.vue") };
