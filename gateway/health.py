"""Whether the gateway does its work: `/health` (200 only while data flows) and `/metrics` (Prometheus).

The same port has `/quarantine` (gateway.ledger.quarantine).
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.ledger.quarantine import Quarantine
from gateway.metrics import GatewayCollector
from gateway.view import View, report

_log = structlog.get_logger(__name__)

REQUEST_S: Final = 5.0
MOST_CONNECTIONS: Final = 64


class _Server(ThreadingHTTPServer):
    """Serves at most MOST_CONNECTIONS at once; further ones are closed."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, if there is a place."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no thread
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log an error of ours in one line, where the library prints its traceback; a client that goes is none."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            _log.error("a request has failed", exc_info=error)


class HealthServer:
    """Answers `/health`, `/metrics` and `/quarantine` at `host`:`port` (0: any free one) from threads of its own."""

    def __init__(self, host: str, port: int, view: Callable[[], View]) -> None:
        self.port = port
        self._host = host
        self._view = view
        self._server: _Server | None = None

    def start(self, quarantine: Quarantine) -> None:
        """Bind the port and start to answer; raise OSError when the port is taken."""
        self._server = _Server((self._host, self.port), _handler(self._view, quarantine))
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop to answer and free the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _handler(view: Callable[[], View], quarantine: Quarantine) -> type[BaseHTTPRequestHandler]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(view))

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_S

        def setup(self) -> None:
            """Begin; the whole head has to come within REQUEST_S, however its bytes are spread."""
            super().setup()
            self._deadline = threading.Timer(REQUEST_S, self._hang_up)
            self._deadline.daemon = True
            self._deadline.start()

        def parse_request(self) -> bool:
            try:
                return super().parse_request()
            finally:
                self._deadline.cancel()

        def finish(self) -> None:
            self._deadline.cancel()
            super().finish()

        def _hang_up(self) -> None:
            with contextlib.suppress(OSError):  # it has ended by itself
                self.connection.shutdown(socket.SHUT_RDWR)

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/health":
                ok, body = report(view())
                self._answer(200 if ok else 503, "application/json", body)
            elif path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path.startswith("/quarantine"):
                self._quarantine(path)
            else:
                self._answer(404, "text/plain; charset=utf-8", b"try /health, /metrics or /quarantine\n")

        def do_POST(self) -> None:
            self._quarantine(self.path)

        def do_DELETE(self) -> None:
            self._quarantine(self.path)

        def _quarantine(self, path: str) -> None:
            reply = quarantine.answer(self.command, path, self.headers.get("Authorization", ""))
            self._answer(reply.status, reply.content_type, reply.body)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a scrape every few seconds is no news."""

    return Handler
