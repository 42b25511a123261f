"""The log of every process: structlog, one JSON object per line, or colored text on a terminal.

Whatever is logged stays short and on one line: texts are cut at `MAX_TEXT` characters, what could move a cursor or
forge a line is escaped, and of an error there is what it says and where it was raised, never the value of a variable.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Literal

import structlog

from contract.text import UNSEEN

Level = Literal["debug", "info", "warning", "error"]

MAX_TEXT: Final = 1000
MAX_ITEMS: Final = 50
MAX_FRAMES: Final = 8
MAX_CAUSES: Final = 3

LIBRARIES: Final = {
    "alembic": logging.WARNING,
    # who uses it reports each loss and each return once; it would report every attempt with a traceback
    "asyncua": logging.CRITICAL,
    "httpcore2": logging.WARNING,
    "httpx2": logging.WARNING,  # it logs every request
    "influxdb_client": logging.WARNING,
    "paho": logging.WARNING,
    "pymodbus.logging": logging.CRITICAL,
    "snap7": logging.CRITICAL,
    "sqlalchemy": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
}
"""What is heard of libraries: from this level on."""

_PASSWORD: Final = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
_Event = structlog.typing.EventDict


def configure(process: str, level: Level = "info") -> None:
    """Send everything that is logged, by the standard library too, to standard error; call once, in `__main__`.

    `process` (edge, gateway, …) stands in every line. An error that ends the process or a thread is logged as critical.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(process)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for library, least in LIBRARIES.items():
        logging.getLogger(library).setLevel(least)
    threading.excepthook = _log_end_of_thread
    sys.excepthook = _log_end_of_process


def plain(text: str) -> str:
    """Return a text as a log may hold it: no longer than `MAX_TEXT`, with nothing that a terminal obeys.

    An address in it loses its password.
    """
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    text = _PASSWORD.sub(r"\1***@", text)
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def told(error: BaseException) -> str:
    """Return an error, what caused it, and where each was raised, innermost call first."""
    return " ⇐ ".join(f"{_said(each)} ({_where(each)})" for each in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if cause is None:
            return
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        else:
            cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _said(error: BaseException) -> str:
    words = plain(_text(error)[:300])
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  (whatever an object's own __str__ raises costs its words, not the line)
        return f"<{type(value).__name__}>"


def _where(error: BaseException) -> str:
    calls = deque(traceback.walk_tb(error.__traceback__), MAX_FRAMES)
    return " ← ".join(
        f"{'/'.join(code.co_filename.split('/')[-2:])}:{line} {code.co_name}"
        for code, line in ((frame.f_code, line) for frame, line in reversed(calls))
    )


def _clean(value: Any, depth: int = 3) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict) and depth:
        return {plain(_text(name)): _clean(each, depth - 1) for name, each in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_clean(each, depth - 1) for each in list(value)[:MAX_ITEMS]]
    return plain(_text(value))


def _clean_event(_logger: object, _method: str, event: _Event) -> _Event:
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    event["event"] = _text(event.get("event", "")).strip()
    cleaned: _Event = {plain(name): _clean(value) for name, value in event.items()}
    if isinstance(error, BaseException):
        cleaned["exception"] = told(error)
    return cleaned


def _renderers(process: str) -> list[structlog.typing.Processor]:
    if sys.stderr.isatty():
        return [_clean_event, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]

    def name_process(_logger: object, _method: str, event: _Event) -> _Event:
        event["process"] = process
        return event

    return [_clean_event, name_process, structlog.processors.JSONRenderer(ensure_ascii=False, default=_text)]


def _log_end_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread is not None else "unknown"
    structlog.get_logger(__name__).critical("thread ended", thread=name, exc_info=args.exc_value)


def _log_end_of_process(kind: type[BaseException], error: BaseException, _traceback: object) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger(__name__).critical("process ended", exc_info=error)
