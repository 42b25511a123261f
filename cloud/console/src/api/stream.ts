/** One live connection to the cloud that is always tried again, and that says at any time how it stands. */

import { backoffMs } from "./backoff";
import { EventParser, EventTooLong, type ServerEvent } from "./sse";

/** Without a byte for so long (the server sends a comment every few seconds) the connection counts as dead. */
export const SILENCE_MS = 25_000;

export type LinkState = "connecting" | "live" | "waiting" | "paused";

export interface Link {
  readonly state: LinkState;
  /** Tries in a row that failed. */
  readonly tries: number;
  /** When the next try comes (ms, browser's clock), while waiting. */
  readonly retryAt: number | null;
  /** Why the last try failed, for a tooltip. */
  readonly reason: string;
}

export interface StreamHandlers {
  onLink(link: Link): void;
  onEvent(event: ServerEvent): void;
  /** Any byte came: the server is there. */
  onContact(): void;
  /** The server does not know us (any more); the stream has stopped. */
  onUnauthorized(): void;
}

export class LiveStream {
  private abort: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private tries = 0;

  constructor(
    private readonly url: string,
    private readonly handlers: StreamHandlers,
  ) {}

  /** Connect, now; harmless while connected. */
  start(): void {
    if (this.abort) return;
    clearTimeout(this.timer);
    const abort = new AbortController();
    this.abort = abort;
    this.report("connecting");
    void this.run(abort).then((reason) => {
      if (this.abort !== abort) return;
      this.abort = null;
      if (reason !== null) this.wait(reason);
    });
  }

  /** Close the connection on purpose (`paused`); `start` opens it again. */
  stop(): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
    this.tries = 0;
    this.report("paused");
  }

  private wait(reason: string): void {
    const delay = backoffMs(this.tries++);
    this.report("waiting", reason, Date.now() + delay);
    this.timer = setTimeout(() => this.start(), delay);
  }

  private report(state: LinkState, reason = "", retryAt: number | null = null): void {
    this.handlers.onLink({ state, tries: this.tries, retryAt, reason });
  }

  /** Read until the connection ends; return why, or null when it shall not be tried again. */
  private async run(abort: AbortController): Promise<string | null> {
    let silence = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const answer = await fetch(this.url, {
        headers: { Accept: "text/event-stream" },
        cache: "no-store",
        signal: abort.signal,
      });
      // 403: somebody who came by a link has to set a password first
      if (answer.status === 401 || answer.status === 403) {
        this.handlers.onUnauthorized();
        return null;
      }
      if (!answer.ok || !answer.body) return `HTTP ${answer.status}`;
      this.tries = 0;
      this.report("live");
      const parser = new EventParser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "closed by the server";
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE_MS);
        this.handlers.onContact();
        for (const event of parser.push(value)) this.handlers.onEvent(event);
      }
    } catch (error) {
      if (error instanceof EventTooLong) return "event too long";
      return abort.signal.aborted ? "silent" : error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }
}
