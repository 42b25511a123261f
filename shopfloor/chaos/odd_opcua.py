"""What an OPC UA server says; see shopfloor.chaos.odd."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from asyncua import ua

from contract.model import TIME_REPLACED
from shopfloor.chaos.odd import BAD, GOOD, UNCERTAIN, Moment, N, OnOpcua, Want, Word

UNREAD: Final = (Word("ledger", "not_understood"),)
UNTIMED: Final = (Word("ledger", "source_time"),)
OLD_MS: Final = 3_000_000
_YEAR_1601: Final = datetime(1601, 1, 1, tzinfo=UTC)
_YEAR_9999: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def when(moment: Moment) -> datetime:
    """Return the moment as a server states it."""
    return datetime.fromtimestamp(moment.ms / 1000, UTC)


def _value(value: Any, kind: ua.VariantType | None = None, status: int = 0) -> Callable[[Moment], ua.DataValue]:
    """Return what says a value, taken at the moment; a function is asked for the value then."""

    def said(moment: Moment) -> ua.DataValue:
        content = value(moment) if callable(value) else value
        time = when(moment)
        return ua.DataValue(ua.Variant(content, kind), ua.StatusCode(status), time, time)

    return said


def _dated(source: datetime | Callable[[Moment], datetime]) -> Callable[[Moment], ua.DataValue]:
    """Return what says a number with a source time that the server does not share."""

    def said(moment: Moment) -> ua.DataValue:
        variant = ua.Variant(float(moment.n), ua.VariantType.Double)
        stated = source(moment) if callable(source) else source
        return ua.DataValue(variant, ua.StatusCode(0), stated, when(moment))

    return said


def _latin(encoding: str, text: str) -> str:
    """Return what asyncua is to be given to send a text in another encoding."""
    return text.encode(encoding).decode("utf-8", "surrogateescape")


def _row(
    name: str, want: tuple[Any, int], said: Callable[[Moment], Any], *words: Word, status: int = 0, **options: Any
) -> OnOpcua:
    wants = (Want("v", *want, ms=0, status=status), Want("ok", N(), ms=0))
    return OnOpcua(name, wants, words, said, options)


_NO_VALUE: Final = (None, BAD)

ROWS: Final = (
    _row("ua-a1-latin-1", ("M\ufffdtor", UNCERTAIN), _value(_latin("latin-1", "Mötor"))),
    _row("ua-a1-gbk", ("铣刀", GOOD), _value(_latin("gbk", "铣刀")), encoding="gbk"),
    _row("ua-a2-1601", (N(), GOOD | TIME_REPLACED), _dated(_YEAR_1601), *UNTIMED),
    _row("ua-a2-9999", (N(), GOOD | TIME_REPLACED), _dated(_YEAR_9999), *UNTIMED),
    _row("ua-a7-text", _NO_VALUE, _value("x" * 1_500_000), Word("ledger", "too_large")),
    _row("ua-d2-uint64", (2**64 - 1, GOOD), _value(2**64 - 1, ua.VariantType.UInt64)),
    _row("ua-d3-boolean", (True, GOOD), _value(True)),
    _row("ua-d4-float", (23.4, GOOD), _value(23.4, ua.VariantType.Float)),
    _row("ua-e6-array", _NO_VALUE, _value([1.0, 2.0]), *UNREAD),
    _row("ua-e6-matrix", _NO_VALUE, _value([[1.0, 2.0], [3.0, 4.0]]), *UNREAD),
    _row("ua-e6-structure", _NO_VALUE, _value(ua.Range(0.0, 1.0)), *UNREAD),
    _row("ua-e7-uncertain", (N(), UNCERTAIN), _value(lambda m: float(m.n), status=0x40900000), status=0x40900000),
    _row("ua-e7-bad", _NO_VALUE, _value(lambda m: float(m.n), status=0x808C0000), status=0x808C0000),
    _row("ua-a1-shift-jis", ("工件", GOOD), _value(_latin("shift_jis", "工件")), encoding="shift_jis"),
    _row("ua-a1-nul", ("a\0b", GOOD), _value("a\0b")),
    _row("ua-d2-int64", (-(2**63), GOOD), _value(-(2**63), ua.VariantType.Int64)),
    _row("ua-e6-empty", _NO_VALUE, _value([], ua.VariantType.Double), *UNREAD),
    _row("ua-e6-words", ("zu heiß", GOOD), _value(ua.LocalizedText("zu heiß"))),
    _row("ua-e7-null", _NO_VALUE, _value(None)),
    _row("ua-e7-clamped", (N(), GOOD), _value(lambda m: float(m.n), status=0x00300000), status=0x00300000),
    _row("ua-e7-reserved", _NO_VALUE, _value(lambda m: float(m.n), status=0xFFFFFFFF), status=0xFFFFFFFF),
    _row("ua-e7-nan", _NO_VALUE, _value(float("nan")), *UNREAD),
)
