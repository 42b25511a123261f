"""How the demo shows itself: a live table on a terminal, else a line for each change, or JSON lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from shopfloor.demo.service import Service, State
from shopfloor.demo.usage import Usage, usage
from shopfloor.output import print_json

_COLORS: dict[State, str] = {
    "waiting": "dim",
    "starting": "yellow",
    "running": "green",
    "restarting": "yellow",
    "failed": "red",
    "stopped": "dim",
}


class Display(Protocol):
    """What the demo has to say."""

    def show(self, services: Sequence[Service]) -> None:
        """Begin to show these."""

    def changed(self, service: Service) -> None:
        """The state of a service is a new one."""

    def say(self, text: str) -> None:
        """Something worth a line has happened."""

    def link(self, url: str) -> None:
        """The set-up is done: the last line of it."""

    def refresh(self) -> None:
        """Called once a second."""

    def close(self) -> None:
        """The end; safe twice."""


class JsonLines:
    """One JSON object for each event."""

    def show(self, services: Sequence[Service]) -> None:
        """Nothing: every change is an event."""

    def changed(self, service: Service) -> None:
        """Print the service."""
        print_json(
            {
                "event": "service",
                "service": service.name,
                "state": service.state,
                "pid": service.pid,
                "restarts": service.restarts,
                "exit_code": service.exit_code,
            }
        )

    def say(self, text: str) -> None:
        """Print the text."""
        print_json({"event": "info", "text": text})

    def link(self, url: str) -> None:
        """Print the link."""
        print_json({"event": "ready", "url": url})

    def refresh(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """A line for each thing that a person would want to know; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, services: Sequence[Service]) -> None:
        """Nothing: every change is a line."""

    def changed(self, service: Service) -> None:
        """Print the service, unless it merely waits or begins."""
        match service.state:
            case "running":
                self._line(service, f"running, process {service.pid}")
            case "restarting":
                self._line(service, f"{_death(service)}, is started again; {_last_words(service)}")
            case "failed":
                self._line(service, f"{_death(service)}; {_last_words(service)}")
            case "stopped":
                self._line(service, "ended")

    def say(self, text: str) -> None:
        """Print the text."""
        self._console.print(text, markup=False)

    def link(self, url: str) -> None:
        """Print the link on a line of its own, with nothing else, so that every terminal can open it."""
        self._console.print(
            "the plant runs (Ctrl-C ends it); open this link, it works once:" if "#" in url else "open:"
        )
        self._console.print(url, markup=False, style="bold cyan")

    def refresh(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def _line(self, service: Service, text: str) -> None:
        self._console.print(f"{service.name:<11} {text}", markup=False)


class LiveTable(Lines):
    """A table of the processes that is drawn again each second, below the lines."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._services: Sequence[Service] = ()
        self._live: Live | None = None
        self._seen: dict[int, tuple[float, Usage]] = {}

    def show(self, services: Sequence[Service]) -> None:
        """Begin to draw."""
        self._services = services
        self._live = Live(self._table(), console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def changed(self, service: Service) -> None:
        """Draw; only a death is worth a line."""
        if service.state in ("restarting", "failed"):
            super().changed(service)
        self.refresh()

    def refresh(self) -> None:
        """Draw the table with fresh numbers."""
        if self._live is not None:
            self._live.update(self._table(), refresh=True)

    def close(self) -> None:
        """Take the table away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _table(self) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("process", "state", "pid", "CPU", "memory", "restarts"):
            table.add_column(column, justify="left" if column in ("process", "state") else "right", min_width=8)
        for service in self._services:
            cpu, memory = self._measure(service.pid)
            color = _COLORS[service.state]
            state = f"[{color}]{service.state}[/]"
            table.add_row(escape(service.name), state, str(service.pid or ""), cpu, memory, str(service.restarts or ""))
        return table

    def _measure(self, pid: int | None) -> tuple[str, str]:
        if pid is None:
            return "", ""
        now, used = time.monotonic(), usage(pid)
        then, before = self._seen.get(pid, (now, used))
        if now - then > 0.9 or pid not in self._seen:
            self._seen = {key: value for key, value in self._seen.items() if key in {s.pid for s in self._services}}
            self._seen[pid] = now, used
        share = (used.cpu_s - before.cpu_s) / (now - then) if now > then else 0.0
        return f"{share:.0%}", f"{used.memory / 2**20:.0f} MiB"


def _death(service: Service) -> str:
    code = service.exit_code
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    return f"ended with exit code {code}"


def _last_words(service: Service) -> str:
    """Say why it died where that can be known: a killed process has said nothing of it."""
    killed = service.exit_code is not None and service.exit_code < 0
    words = "" if killed else service.log.last_words()
    return f"{words} ({service.log.path})" if words else str(service.log.path)


def display_for(console: Console, *, json: bool) -> Display:
    """Return the display that fits where the output goes."""
    if json:
        return JsonLines()
    return LiveTable(console) if console.is_terminal else Lines(console)
