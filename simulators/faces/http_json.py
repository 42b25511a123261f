"""JSON over HTTP: each machine has a port of its own, and answers any GET with all its signals nested by their places.

The body is that of `mqtt_json`: {"ts": ms, "seq": n, …}. The port is `options: {http: {port: 8095}}`. It is read-only.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from simulators.face import Face, FaceError, Place, Setting, Shown, described
from simulators.faces._json import NS_PER_MS, encode, expression, sent
from simulators.machine import SimulatedMachine

PORT: Final = 8095
_TIMEOUT_S: Final = 5.0


class _Handler(BaseHTTPRequestHandler):
    """Answers with what the server shows now."""

    timeout = _TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        """Send the newest message, 503 while there is none."""
        body = self.server.body
        self.send_response(HTTPStatus.OK if body else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: clients ask every second."""


class _Server(ThreadingHTTPServer):
    """The server of one machine; `body` is replaced whole, so a request never sees half of it."""

    daemon_threads = True
    body = b""


class HttpJson(Face):
    """Machines with a web server each."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._servers: dict[str, _Server] = {}

    def show(self, machine: SimulatedMachine, place: Place) -> Shown:
        """Put a machine on a port of its own; raise FaceError when another one has it."""
        port = _port(machine)
        if port and port in (_port(shown.machine) for shown in self.shown):
            raise FaceError(f"machines.{machine.id}.options.http.port: {port} is taken: each machine has its own")
        return super().show(machine, place)

    async def start(self) -> None:
        """Listen."""
        for shown in self.shown:
            server = _Server((self.setting.listen, _port(shown.machine)), _Handler)
            self._servers[shown.machine.id] = server
            threading.Thread(target=server.serve_forever, name=f"http-{shown.machine.id}", daemon=True).start()

    async def emit(self, time_ns: int) -> None:
        """Let the next request be answered with what the machines read now; a silent machine answers nothing."""
        for shown in self.shown:
            server = self._servers[shown.machine.id]
            if shown.is_silent:
                server.body = b""
            for stamp_ns, reading in shown.messages(time_ns):
                shown.note(stamp_ns // NS_PER_MS * NS_PER_MS, {name: sent(value) for name, value in reading.items()})
                server.body = encode(shown.machine.signals, stamp_ns, reading)
                shown.count(list(reading))

    async def stop(self) -> None:
        """Stop listening."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            server.shutdown()
            server.server_close()

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `http`, once it listens."""
        machine = shown.machine
        return {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "http",
            "address": f"http://{self.setting.host}:{self._servers[machine.id].server_port}",
            "time": {"path": "ts", "unit": "ms"},
            "signals": {signal.name: described(signal, {"path": expression(signal)}) for signal in machine.signals},
        }


def _port(machine: SimulatedMachine) -> int:
    return int(machine.options.get("http", {}).get("port", PORT))


FACE = HttpJson
