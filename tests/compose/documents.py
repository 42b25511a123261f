"""The commands that docs/compose.md tells a reader to type."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs"


def commands(page: str = "compose.md") -> list[str]:
    """Return the commands of a page without their comments: lines of blocks, and words in the text."""
    text = (PAGES / page).read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    words = re.findall(r"`([^`]+)`", re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    program = re.compile(r"(\w+=\S+ )?(docker|make|git|python) ")
    return list(dict.fromkeys(" ".join(each.split()) for each in (*lines, *words) if program.match(each)))
