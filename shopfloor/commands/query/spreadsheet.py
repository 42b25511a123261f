"""CSV as a spreadsheet wants it: a column with the unit, and the mark by which Excel knows UTF-8."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@")


class WithUnits:
    """Adds the unit of each signal behind its value to the CSV of an export (RFC 4180), which comes in pieces."""

    def __init__(self, units: Mapping[str, str], *, bom: bool = False) -> None:
        # as the platform does: no spreadsheet takes a cell for a formula
        self._units = {name: f"'{unit}" if unit.startswith(_FORMULA) else unit for name, unit in units.items()}
        self._mark = codecs.BOM_UTF8 if bom else b""
        self._at: int | None = None  # where the unit goes; the first row says it
        self._rest = b""
        self._row = b""

    def take(self, piece: bytes) -> bytes:
        """Return the rows that a piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\r\n")
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        for line in lines:
            self._row += line
            if self._row.count(b'"') % 2:  # a line break within a text
                self._row += b"\r\n"
                continue
            writer.writerow(self._with_unit(next(csv.reader([self._row.decode()], strict=True))))
            self._row = b""
        mark, self._mark = self._mark, b""
        return mark + out.getvalue().encode()

    def _with_unit(self, row: list[str]) -> list[str]:
        if self._at is None:
            self._at = row.index("value") + 1
            return [*row[: self._at], "unit", *row[self._at :]]
        signal = row[1].removeprefix("'")
        return [*row[: self._at], self._units.get(signal, ""), *row[self._at :]]
