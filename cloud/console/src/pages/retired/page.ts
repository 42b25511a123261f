import type { Page } from "../page";

export const page: Page = { noun: "retired", icon: "archive", action: "configure", order: 40, view: () => import("./View.vue") };
