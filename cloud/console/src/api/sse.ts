/** Server-sent events as the WHATWG standard writes them (chapter 9.2), from chunks of text. */

export interface ServerEvent {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

/** An event longer than this is not one of ours; the stream is broken off rather than kept in memory. */
export const MAX_EVENT_CHARACTERS = 4_000_000;

export class EventTooLong extends Error {}

export class EventParser {
  private rest = "";
  private type = "";
  private data: string[] = [];
  private size = 0;
  private id = "";

  /** Return the events that `chunk` completes; raise EventTooLong. Comments (keep-alives) complete none. */
  push(chunk: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const text = this.rest + chunk;
    let start = 0;
    for (;;) {
      const end = lineEnd(text, start);
      if (end === null) break;
      this.line(text.slice(start, end.at), events);
      start = end.next;
    }
    this.rest = text.slice(start);
    if (this.rest.length + this.size > MAX_EVENT_CHARACTERS) throw new EventTooLong();
    return events;
  }

  private line(line: string, events: ServerEvent[]): void {
    if (line === "") {
      if (this.data.length > 0) events.push({ type: this.type || "message", data: this.data.join("\n"), id: this.id });
      this.type = "";
      this.data = [];
      this.size = 0;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "event") this.type = value;
    else if (field === "id") this.id = value;
    else if (field === "data") {
      this.data.push(value);
      this.size += value.length;
    }
  }
}

/** Where the line that begins at `start` ends (LF, CR or CRLF); null while that is not known yet. */
function lineEnd(text: string, start: number): { at: number; next: number } | null {
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\n") return { at: i, next: i + 1 };
    if (text[i] === "\r") {
      if (i + 1 === text.length) return null;
      return { at: i, next: text[i + 1] === "\n" ? i + 2 : i + 1 };
    }
  }
  return null;
}
