"""JSON that is not quite JSON: what is odd in it costs itself alone.

Devices print NaN, `nan(ind)` or nothing where a number stands, end with the NUL of a C string, begin with a byte order
mark, leave a comma behind the last member, and write texts in the encoding of their display.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

MOST_BYTES: Final = 1 << 20
_PART: Final = re.compile(
    r'"(?:[^"\\]|\\.)*+"'  # a text
    r"|,(?=\s*[\]}])"  # a comma that nothing follows
    r"|(?<=:)(?=\s*[,}\]])|(?<=,)(?=\s*,)"  # nothing, where a value stands
    r'|[^\s\[\]{}:,"\0]+',  # a bare word
    re.DOTALL,
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII)
_PLAIN: Final = re.compile(r"\+?(-?)(0|[1-9]\d*)?(?:\.(\d*))?\Z", re.ASCII)  # +5, .5 and 5.
_WORDS: Final = frozenset(("true", "false", "null"))
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]+")
_FLOAT_DIGITS: Final = 400  # a whole number with more is none that a double can hold
_UNKNOWN: Final = "\udcff"  # no character: it becomes a replacement character, and the text uncertain


def loads(payload: bytes, encoding: str | None) -> Any:
    """Return what a message says; raise ValueError or RecursionError when it has no structure.

    NaN stands for what is no value. What cannot be decoded in a text is a lone surrogate, as `decode` makes it.
    """
    if len(payload) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes that are not quite JSON")
    text = decode(payload, encoding or json.detect_encoding(payload))
    try:
        return _loads(text)
    except ValueError:
        if encoding is not None or payload.isascii():
            raise
    # the second byte of a Chinese character may be a backslash or a brace: in GB 18030 they are found, not read
    return _loads(_FOREIGN.sub(_UNKNOWN, decode(payload, "gb18030")))


def decode(payload: bytes, encoding: str) -> str:
    """Decode text, without byte order mark and closing NULs; each byte that cannot be is a lone surrogate."""
    return payload.decode(encoding, "surrogateescape").removeprefix("\ufeff").rstrip("\0")


def _loads(text: str) -> Any:
    decoder = json.JSONDecoder(parse_constant=lambda _: math.nan, parse_int=_integer, strict=False)
    text = text.strip()
    if text.startswith(("{", "[")):
        text = _PART.sub(_part, text)
    value, end = decoder.raw_decode(text)
    if text[end:] and text[end] != "\0":
        raise ValueError(f"more than one value: {text[end : end + 20]!r}")
    return value


def _part(match: re.Match[str]) -> str:
    part = match[0]
    if part.startswith('"') or part in _WORDS or _NUMBER.match(part):
        return part
    if part == ",":
        return ""
    plain = _PLAIN.match(part)
    if plain and (plain[2] or plain[3]):
        return f"{plain[1]}{plain[2] or 0}.{plain[3] or 0}" if "." in part else f"{plain[1]}{plain[2]}"
    return "NaN"


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _FLOAT_DIGITS else float(text)
