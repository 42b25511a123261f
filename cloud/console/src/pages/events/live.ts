/** Events as they come: from the stream, and anew from the server where the stream has missed some. */

import { onScopeDispose, watch } from "vue";
import { onMessage, usePlant } from "../../plant/plant";
import { readEvent, type Event } from "./events";

const FLUSH_MS = 250;
/** More than these in one flush are asked for instead. */
const MOST = 500;

/** Call `take` with what came, a few times a second, and `again` when some did not come here. */
export function useLiveEvents(take: (events: readonly Event[]) => void, again: () => void): void {
  let waiting: Event[] = [];
  let missed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    timer = undefined;
    const [events, lost] = [waiting, missed];
    [waiting, missed] = [[], false];
    if (lost) again();
    else take(events);
  }

  function miss(): void {
    [waiting, missed] = [[], true];
    timer ??= setTimeout(flush, FLUSH_MS);
  }

  const ends = [
    onMessage("event", (data) => {
      const event = readEvent(data);
      if (!event || missed) return;
      if (waiting.length >= MOST) return miss();
      waiting.push(event);
      timer ??= setTimeout(flush, FLUSH_MS);
    }),
    onMessage("missed", miss),
  ];
  const { link } = usePlant();
  watch(
    () => link.value.state,
    (state, before) => {
      if (state === "live" && before !== "live") miss();
    },
  );
  onScopeDispose(() => {
    clearTimeout(timer);
    for (const end of ends) end();
  });
}
