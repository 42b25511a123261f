"""The log of every process: structlog, one JSON object per line, or colored text on a terminal."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Literal

import structlog
from structlog.tracebacks import ExceptionDictTransformer

Level = Literal["debug", "info", "warning", "error"]


def configure(process: str, level: Level = "info") -> None:
    """Send everything that is logged, by the standard library too, to standard error; call once, in `__main__`.

    `process` (edge, gateway, …) stands in every line. An error that ends a thread is logged as critical.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
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
    threading.excepthook = _log_end_of_thread


def _renderers(process: str) -> list[structlog.typing.Processor]:
    # never with the values of local variables: a secret may be among them
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]

    def name_process(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    return [
        name_process,
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]


def _log_end_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread is not None else "unknown"
    structlog.get_logger(__name__).critical("thread ended", thread=name, exc_info=args.exc_value)
