"""A file with a list of tags: its bytes, and its table where it is one (CSV in any encoding and dialect, XLSX).

Bounded in bytes, rows, columns; no formula is computed, nothing of XML is expanded.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

MOST_BYTES: Final = 64 * 2**20
MOST_UNPACKED: Final = 256 * 2**20
MOST_ROWS: Final = 200_000
MOST_COLUMNS: Final = 200
MOST_CELL: Final = 32_767
_XLSX: Final = b"PK\x03\x04"
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")
_NEEDS_GUARD: Final = re.compile(r"'*[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\Z")


class TagListError(ValueError):
    """A file that is no list of tags; says why."""


@dataclass(frozen=True, slots=True)
class Tag:
    """What a list says of a tag: where it stands, its name, the keys of a signal that are known of it."""

    line: int
    name: str
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Left:
    """What is not taken: the line (0: it has none), what it is, and why."""

    line: int
    what: str
    why: str


Said: TypeAlias = Tag | Left


@dataclass(frozen=True, slots=True)
class Table:
    """The words of the first row, and the others by their line; `decimal` is the sign in its numbers."""

    header: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]
    decimal: str = "."

    def entries(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield line and cells of each row that has any, by the words of the header."""
        for line, cells in self.rows:
            said = {word: cell for word, cell in zip(self.header, cells, strict=False) if word and cell}
            if any(cell.strip() for cell in said.values()):
                yield line, said


class Source:
    """One file."""

    def __init__(self, path: Path) -> None:
        """Raise TagListError."""
        self.path = path
        try:
            with path.open("rb") as file:
                self.content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise TagListError(f"{path} cannot be read: {error.strerror}") from error
        if len(self.content) > MOST_BYTES:
            raise TagListError(f"{path} is larger than {MOST_BYTES // 2**20} MiB")

    @property
    def is_xml(self) -> bool:
        """Whether it is XML."""
        start = self.content[:200].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        return start.startswith(b"<")

    @cached_property
    def table(self) -> Table:
        """The table in it; raise TagListError."""
        if self.content.startswith(_XLSX):
            rows = _xlsx(self.content)
            return _table(rows, ".")
        text = _text(self.content)
        delimiter = _delimiter(text)
        rows = _csv(text, delimiter)
        return _table(rows, "," if delimiter != "," else ".")

    @property
    def words(self) -> set[str]:
        """The words of the header, in small letters; none of what is no table."""
        return set() if self.is_xml else {word.lower() for word in self.table.header}


def _table(rows: Iterator[tuple[int, list[str]]], decimal: str) -> Table:
    found = [(line, cells) for line, cells in rows if any(cell.strip() for cell in cells)]
    if not found:
        raise TagListError("there is nothing in it")
    header = [word.strip() for word in found[0][1]]
    return Table(header, found[1:], decimal)


def _text(content: bytes) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
        if content.startswith(mark):
            return _decoded(content, encoding)
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return _decoded(content, "utf-16-le" if content[1:2] == b"\0" else "utf-16-be")
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("gb18030")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise TagListError(f"it begins as {encoding} and is not ({error.reason} at byte {error.start})") from error


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(("\t", ";", ","), key=bare.count)


def _csv(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    try:
        for count, cells in enumerate(reader):
            _check_size(count, len(cells))
            yield line, [unguarded(cell) for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise TagListError(f"line {line}: no CSV ({error})") from error


def _xlsx(content: bytes) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook  # noqa: PLC0415

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            _check_packed(packed)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        for count, cells in enumerate(sheet.iter_rows(max_row=MOST_ROWS + 2, values_only=True)):
            _check_size(count, len(cells))
            yield count + 1, [unguarded(_cell(cell)) for cell in cells]
    except TagListError:
        raise
    except Exception as error:  # of odd files the library raises whatever it comes upon
        raise TagListError(f"no table of Excel that can be read ({type(error).__name__}: {error})"[:300]) from error


def _check_packed(packed: zipfile.ZipFile) -> None:
    if sum(each.file_size for each in packed.infolist()) > MOST_UNPACKED:
        raise TagListError(f"unpacked it has more than {MOST_UNPACKED // 2**20} MiB")
    for each in packed.infolist():
        with packed.open(each) as part:
            if re.search(rb"<!(?:DOCTYPE|ENTITY)", part.read(4096)):
                raise TagListError("it has a document type of its own, as no table has")


def _check_size(rows: int, columns: int) -> None:
    if rows > MOST_ROWS:
        raise TagListError(f"it has more than {MOST_ROWS} rows: make several files of it")
    if columns > MOST_COLUMNS:
        raise TagListError(f"it has more than {MOST_COLUMNS} columns")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def unguarded(cell: str) -> str:
    """Return a cell without the mark that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if _GUARDED.match(cell) else cell


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if _NEEDS_GUARD.match(cell) and not _NUMBER.match(cell) else cell


def write_csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Return a table as CSV (RFC 4180, UTF-8 with the mark by which Excel knows it)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([header, *([guarded(cell) for cell in row] for row in rows)])
    return codecs.BOM_UTF8 + out.getvalue().encode()


def write_xlsx(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Return a table as XLSX, all cells as text; raise TagListError for a text that it cannot hold."""
    from openpyxl import Workbook  # noqa: PLC0415
    from openpyxl.utils.exceptions import IllegalCharacterError  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet("tags")
    try:
        for row in [header, *rows]:
            if long := next((cell for cell in row if len(cell) > MOST_CELL), None):
                raise TagListError(f"a cell has at most {MOST_CELL} characters: {long[:40]!r}…")
            sheet.append([guarded(cell) or None for cell in row])
    except IllegalCharacterError as error:
        raise TagListError(f"a text has a character that Excel cannot hold: {str(error)[:100]!r}") from error
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
