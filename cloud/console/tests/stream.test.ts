import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backoffMs } from "../src/api/backoff";
import { EventParser, EventTooLong, MAX_EVENT_CHARACTERS } from "../src/api/sse";
import { LiveStream, type Link } from "../src/api/stream";
import { parseStateEvent } from "../src/plant/state-event";

describe("EventParser", () => {
  test("joins lines of data, whatever the chunks and line ends are", () => {
    const text = "event: state\ndata: {\"a\":\ndata: 1}\nid: 7\n\n: ping\n\nevent: x\rdata:y\r\n\r\n";
    const whole = new EventParser().push(text);
    expect(whole).toEqual([
      { type: "state", data: '{"a":\n1}', id: "7" },
      { type: "x", data: "y", id: "7" },
    ]);
    for (let at = 1; at < text.length; at++) {
      const parser = new EventParser();
      expect([...parser.push(text.slice(0, at)), ...parser.push(text.slice(at))]).toEqual(whole);
    }
  });

  test("comments and events without data give nothing", () => {
    expect(new EventParser().push(": ping\n\nevent: state\n\nretry: 2000\n\n")).toEqual([]);
  });

  test("breaks off an event that never ends", () => {
    const parser = new EventParser();
    const line = `data: ${"x".repeat(1_000_000)}\n`;
    expect(() => {
      for (let size = 0; size <= MAX_EVENT_CHARACTERS + 1_000_000; size += 1_000_000) parser.push(line);
    }).toThrow(EventTooLong);
  });
});

describe("parseStateEvent", () => {
  test("reads readings and times, and leaves out what is none", () => {
    const event = parseStateEvent(
      JSON.stringify({
        asset: "cnc-01",
        online: true,
        signals: {
          speed: { value: 1200.5, quality: 192, time: "2026-11-23T08:00:00.250000000Z" },
          word: { value: "ACTIVE", quality: 500, time: "2026-11-23T08:00:01Z" },
          none: { value: null, quality: 0, time: "2026-11-23T07:00:00Z" },
          bad: { value: { a: 1 }, time: "2026-11-23T08:00:00Z" },
          untimed: { value: 1, quality: 192 },
        },
      }),
    );
    expect([...(event?.signals.keys() ?? [])]).toEqual(["speed", "word", "none"]);
    expect(event?.signals.get("speed")).toEqual({ value: 1200.5, quality: 192, time: Date.UTC(2026, 10, 23, 8, 0, 0, 250) });
    expect(event?.seen).toBe(Date.UTC(2026, 10, 23, 8, 0, 1));
  });

  test.each(["", "[]", "null", "{}", '{"asset":1}', "{"])("refuses %j", (text) => {
    expect(parseStateEvent(text)).toBeNull();
  });
});

test("the wait between tries grows, is jittered and has a ceiling", () => {
  expect([0, 1, 2, 3].map((n) => backoffMs(n, 0))).toEqual([250, 500, 1000, 2000]);
  expect(backoffMs(0, 0.999)).toBeLessThanOrEqual(500);
  expect(backoffMs(1000, 0.999)).toBeLessThanOrEqual(15_000);
});

describe("LiveStream", () => {
  let server: Server;
  let url: string;
  let answer: (response: ServerResponse, call: number) => void;
  let stream: LiveStream | null = null;
  let calls = 0;

  beforeEach(async () => {
    calls = 0;
    server = createServer((_request, response) => answer(response, calls++));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/stream`;
  });
  afterEach(() => {
    stream?.stop();
    server.closeAllConnections();
    server.close();
  });

  /** Follow the stream until `done` says so of what happened so far. */
  function follow(done: (happened: string[]) => boolean): Promise<{ happened: string[]; links: Link[] }> {
    return new Promise((resolve) => {
      const happened: string[] = [];
      const links: Link[] = [];
      const note = (text: string): void => {
        happened.push(text);
        if (done(happened)) resolve({ happened, links });
      };
      stream = new LiveStream(url, {
        onLink(link) {
          links.push(link);
          note(link.state);
        },
        onEvent: (event) => note(`event ${event.data}`),
        onContact: () => {},
        onUnauthorized: () => note("unauthorized"),
      });
      stream.start();
    });
  }

  test("connects again after the server closes or is in trouble, and says so", async () => {
    answer = (response, call) => {
      if (call === 1) return void response.writeHead(503).end();
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(`event: state\ndata: ${call}\n\n`);
      if (call === 0) response.end();
    };
    const { happened, links } = await follow((all) => all.includes("event 2"));
    expect(happened).toEqual([
      ...["connecting", "live", "event 0", "waiting"],
      ...["connecting", "waiting"],
      ...["connecting", "live", "event 2"],
    ]);
    const waits = links.filter((link) => link.state === "waiting");
    expect(waits.map((link) => link.reason)).toEqual(["closed by the server", "HTTP 503"]);
    expect(waits.every((link) => link.retryAt !== null)).toBe(true);
  });

  test("does not try again when the session has ended", async () => {
    answer = (response) => void response.writeHead(401).end();
    const { happened } = await follow((all) => all.includes("unauthorized"));
    await new Promise(setImmediate);
    expect(happened).not.toContain("waiting");
    expect(calls).toBe(1);
  });
});
