/** Ask again and again while the page is seen. */

import { onScopeDispose } from "vue";

/** A finding is to be on the screen soon after its evidence is complete. */
const EVERY_MS = 3_000;

/** Call `load` now and every few seconds, never twice at once, while the page is visible. */
export function usePoll(load: () => Promise<void>, everyMs = EVERY_MS): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;

  async function turn(): Promise<void> {
    if (document.visibilityState === "visible") await load();
    if (!ended) timer = setTimeout(() => void turn(), everyMs);
  }

  function seen(): void {
    if (document.visibilityState === "visible" && !ended) void load();
  }

  document.addEventListener("visibilitychange", seen);
  onScopeDispose(() => {
    ended = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  });
  void turn();
}
