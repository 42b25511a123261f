"""A server of `/api/v1/chain` that answers as a test has planned."""

from __future__ import annotations

import gzip
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "the token of gateway and cloud"


class FakeCloud:
    """`plan` has the answers to come (status, body, headers), then 200 and nothing refused; `lines` is what came."""

    def __init__(self) -> None:
        self.plan: deque[tuple[int, bytes, dict[str, str]]] = deque()
        self.lines: list[bytes] = []
        self.delay_s = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(cloud: FakeCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/api/v1/chain"
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            cloud.lines += body.split(b"\n")
            time.sleep(cloud.delay_s)
            status, answer, headers = cloud.plan.popleft() if cloud.plan else (200, b'{"refused": []}', {})
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                status = 401
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
