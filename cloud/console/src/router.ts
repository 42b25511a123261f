import { createRouter, createWebHistory } from "vue-router";
import { ApiError } from "./api/client";
import { pageRoutes } from "./pages/pages";
import { loadMe, may, me, type Action } from "./session";
import PlantView from "./views/PlantView.vue";

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", name: "plant", component: PlantView },
    { path: "/machines/:id", name: "machine", component: () => import("./views/MachineView.vue"), props: true },
    ...pageRoutes,
    { path: "/login", name: "login", component: () => import("./views/LoginView.vue"), meta: { open: true } },
    { path: "/:rest(.*)*", name: "nowhere", component: () => import("./views/NowhereView.vue"), meta: { open: true } },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

/** Everything but the sign-in needs somebody who is signed in and has a password of their own. */
router.beforeEach(async (to) => {
  if (to.meta["open"] === true) return true;
  try {
    if (!me.value) await loadMe();
  } catch (error) {
    // the server is away: show the page, which says so and tries again
    if (error instanceof ApiError) return true;
    throw error;
  }
  if (me.value && !me.value.must_set_password) return !to.meta["action"] || may(to.meta["action"] as Action) ? true : { path: "/" };
  return { name: "login", query: to.fullPath === "/" ? {} : { next: to.fullPath } };
});
