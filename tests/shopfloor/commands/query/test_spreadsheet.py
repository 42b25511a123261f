"""The CSV of an export with units, whatever the pieces in which it comes."""

from __future__ import annotations

import csv
import io

import pytest

from shopfloor.commands.query.spreadsheet import WithUnits

HEAD = ["asset", "signal", "time", "value", "quality", "status"]
ROWS = [
    ["cnc-01", "feed", "2026-11-23T08:00:00.000000000Z", "1.5", "192", ""],
    ["cnc-01", "door", "2026-11-23T08:00:00.000000000Z", "true", "192", ""],
    ["cnc-01", "program", "2026-11-23T08:00:00.000000000Z", 'O1 "铣"\r\nM30,\n', "192", ""],
    ["cnc-01", "slope", "2026-11-23T08:00:00.000000000Z", "-1", "192", "5"],
]
UNITS = {"feed": "mm/min", "slope": "-%"}


def export() -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([HEAD, *ROWS])
    return out.getvalue().encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_a_unit_stands_behind_each_value(size: int) -> None:
    content, change = export(), WithUnits(UNITS)
    made = b"".join(change.take(content[at : at + size]) for at in range(0, len(content), size))
    head, *rows = csv.reader(io.StringIO(made.decode(), newline=""))
    assert head == [*HEAD[:4], "unit", *HEAD[4:]]
    assert [row[4] for row in rows] == ["mm/min", "", "", "'-%"]
    assert [[*row[:4], *row[5:]] for row in rows] == ROWS


def test_the_mark_for_excel_stands_once_at_the_beginning() -> None:
    change = WithUnits(UNITS, bom=True)
    made = change.take(export()[:100]) + change.take(export()[100:])
    assert made.startswith(b"\xef\xbb\xbfasset,")
    assert made.count(b"\xef\xbb\xbf") == 1
