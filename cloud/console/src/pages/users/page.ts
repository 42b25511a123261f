import type { Page } from "../pages";

export const page: Page = { noun: "users", icon: "users", role: "admin", order: 30, view: () => import("./View.vue") };
