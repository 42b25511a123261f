"""A store that keeps nothing: answers 204 to line protocol and counts what came. `python bench/sink.py PORT`.

GET / tells the count; a sample of the asset `live` counts as late as its time is behind the clock.
"""

from __future__ import annotations

import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

LIVE = ",asset=live,"


class Count:
    """What has come so far; `times` are the different ones of all assets but `live`."""

    def __init__(self) -> None:
        self.lines = 0
        self.points = 0
        self.times: set[int] = set()
        self.live: dict[int, float] = {}

    def take(self, text: str) -> None:
        """Count lines of line protocol."""
        now_ns = time.time_ns()
        for line in text.split("\n"):
            head, fields, stamp = line.rsplit(" ", 2)
            self.lines += 1
            time_ns = int(stamp)
            if LIVE in head:
                self.live.setdefault(time_ns, (now_ns - time_ns) / 1e9)
            elif time_ns not in self.times:
                self.times.add(time_ns)
                self.points += fields.count("=")

    def told(self) -> bytes:
        """Return the count as JSON."""
        return orjson.dumps(
            {"lines": self.lines, "points": self.points, "times": len(self.times), "live_s": list(self.live.values())}
        )


class Handler(BaseHTTPRequestHandler):
    """Answers the gateway and the bench."""

    protocol_version = "HTTP/1.1"
    count = Count()

    def do_POST(self) -> None:
        """Take lines."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.count.take(zlib.decompress(body, 31).decode())
        self._answer(204, b"")

    def do_GET(self) -> None:
        """Tell the count."""
        self._answer(200, self.count.told())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
