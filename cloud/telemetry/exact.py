"""What a double cannot say of a value: that it is a boolean, or the last digits of a whole number of 64 bits.

The embedded store keeps such a value twice in its row: as the nearest double, which charts and minutes need, and as the
text that line protocol has for it (`true`, `-5i`, `5u`). A text signal has no double beside its text.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from contract.model import Value

MAX_SAFE: Final = 2**53 - 1
"""The largest whole number of which JavaScript knows that it is exact."""
_INT64: Final = range(-(2**63), 2**63)


def exact_text(value: float | bool, *, unsigned: bool = False) -> str | None:
    """Return the text beside the double of a value; None when that is all there is to say."""
    if value.__class__ is float:
        return None
    if value.__class__ is bool:
        return "true" if value else "false"
    return f"{value}u" if unsigned or value not in _INT64 else f"{value}i"


def with_types(table: pa.Table) -> pa.Table:
    """Return rows with `value` and `text` as they are kept with the columns `boolean`, `int64` and `uint64` of RAW."""
    text, nulls = table["text"], pa.scalar(None, pa.string())
    columns = [pa.nulls(len(table), type_) for type_ in (pa.bool_(), pa.int64(), pa.uint64())]
    exact = pc.and_(pc.is_valid(table["value"]), pc.is_valid(text)) if text.null_count < len(table) else None
    if exact is not None and pc.any(exact).as_py():
        said = pc.if_else(exact, text, nulls)
        table = table.set_column(table.schema.get_field_index("text"), "text", pc.if_else(exact, nulls, text))
        signed, unsigned = (pc.utf8_rtrim(pc.if_else(pc.ends_with(said, end), said, nulls), end) for end in ("i", "u"))
        words = pc.index_in(said, pa.array(["false", "true"]))
        columns = [pc.equal(words, 1), signed.cast(pa.int64()), unsigned.cast(pa.uint64())]
    for name, column in zip(("boolean", "int64", "uint64"), columns, strict=True):
        table = table.append_column(name, column)
    return table


def values(table: pa.Table) -> list[Value | None]:
    """Return the column of values of RAW, each as what it is."""
    merged: list[Value | None] = table["value"].to_pylist()
    for name in ("text", "boolean", "int64", "uint64"):
        if table[name].null_count < len(table):
            exact = table[name].to_pylist()
            merged = [said if better is None else better for said, better in zip(merged, exact, strict=True)]
    return merged


def for_javascript(value: Value | None) -> Value | None:
    """Return a value so that a reader for whom each number is a double keeps all digits: as text where it must be."""
    return str(value) if value.__class__ is int and not -MAX_SAFE <= value <= MAX_SAFE else value


def shown(table: pa.Table, integers: Literal["number", "text"]) -> dict[str, list[Any]]:
    """Return the columns value and quality of samples, and status where there is any."""
    said = values(table)
    columns = {
        "value": said if integers == "number" else list(map(for_javascript, said)),
        "quality": table["quality"].to_pylist(),
    }
    return columns | ({"status": table["status"].to_pylist()} if table["status"].null_count < len(table) else {})
