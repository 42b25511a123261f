"""What is printed is seen, and works no terminal."""

from __future__ import annotations

import pytest

from shopfloor.output import out, table

ODD = "\x1b[31mred\x07 \u202egnp"


def test_a_text_of_a_machine_works_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table(["text"], [[ODD], ["two\nlines"]])
    out.print(f"first\n{ODD}", markup=False)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert printed.count("\\x1b[31mred\\x07 \\u202egnp") == 2
    assert "two\\nlines" in printed
    assert "first\n" in printed
