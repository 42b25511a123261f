"""Text that people type."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.text import Line, Text

LINE: TypeAdapter[str] = TypeAdapter(Line)
TEXT: TypeAdapter[str] = TypeAdapter(Text)


@pytest.mark.parametrize("text", ["", "grafana", "外圈剥落", "Gänge: 3 × 5 µm 👷🏽‍♀️", "می‌خواهم"])
def test_what_is_seen_stays_as_it_is(text: str) -> None:
    assert (LINE.validate_python(text), TEXT.validate_python(text)) == (text, text)


@pytest.mark.parametrize("ended", ["a\nb", "a\r\nb", "a\rb"])
def test_lines_end_in_a_line_feed_whatever_they_ended_in(ended: str) -> None:
    assert TEXT.validate_python(ended) == "a\nb"
    with pytest.raises(ValidationError, match="leave it out"):
        LINE.validate_python(ended)


@pytest.mark.parametrize("kind", [LINE, TEXT])
@pytest.mark.parametrize("odd", ["\0", "\x1b", "\x7f", "\x85", "\u2028", "\u200f", "\u061c", "\u202e", "\u2066"])
def test_what_is_not_seen_is_refused_and_named(kind: TypeAdapter[Any], odd: str) -> None:
    with pytest.raises(ValidationError, match=rf"U\+{ord(odd):04X}"):
        kind.validate_python(f"gpj{odd}.exe")
