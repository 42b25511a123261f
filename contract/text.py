"""Text that people type: nothing in it does something where it is shown instead of being seen."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

# controls of both halves, separators of lines, changes of direction, halves of surrogate pairs
UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_END_OF_LINE: Final = re.compile("\r\n?")
_KEPT: Final = str.maketrans("", "", "\n\t")


def _line(text: str) -> str:
    _check(text)
    return text


def _lines(text: str) -> str:
    text = _END_OF_LINE.sub("\n", text)
    _check(text.translate(_KEPT))
    return text


def _check(text: str) -> None:
    if odd := UNSEEN.search(text):
        raise ValueError(f"a character that is not seen stands in it, U+{ord(odd[0]):04X}: leave it out")


Line = Annotated[str, AfterValidator(_line)]
"""Text of one line: what is `UNSEEN` is refused."""
Text = Annotated[str, AfterValidator(_lines)]
"""Text of some lines, which end in a line feed whatever they ended in; besides tabs, what is `UNSEEN` is refused."""
