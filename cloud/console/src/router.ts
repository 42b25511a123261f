import { createRouter, createWebHistory } from "vue-router";
import { ApiError } from "./api/client";
import { isOpen, mayBeSeen, pages, routes } from "./pages/pages";
import { loadMe, me } from "./session";

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

/** Everything but the sign-in needs somebody who is signed in and has a password of their own. */
router.beforeEach(async (to) => {
  const page = pages.get(String(to.name));
  if (!page || isOpen(page)) return true;
  try {
    if (!me.value) await loadMe();
  } catch (error) {
    // the server is away: show the page, which says so and tries again
    if (error instanceof ApiError) return true;
    throw error;
  }
  if (me.value && !me.value.must_set_password) {
    return mayBeSeen(page) ? true : { name: "nowhere", params: { rest: to.path.slice(1).split("/") }, query: { page: String(to.name) } };
  }
  return { name: "login", query: to.fullPath === "/" ? {} : { next: to.fullPath } };
});
