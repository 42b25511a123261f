"""The OpenAPI document, from which the console's types are generated: `python -m cloud.openapi FILE` writes it."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from cloud.app import create_app
from cloud.settings import Settings


def document() -> bytes:
    """Return the OpenAPI document, in an order that does not change by itself."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(create_app(Settings()).openapi(), option=options)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(document())
