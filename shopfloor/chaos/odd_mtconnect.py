"""What an MTConnect agent observes; see shopfloor.chaos.odd."""

from __future__ import annotations

from typing import Final

from shopfloor.chaos.odd import GOOD, REPLACED, N, Observation, OnMtconnect, Want, Word

OLD_MS: Final = 3_000_000
NOW: Final = b"<iso>Z"
LATER: Final = b"<iso+1>Z"

# the last word of each row has a sound time: an agent tells again what holds, at each connection
_END: Final = Observation("v", LATER, b"<n+9>")
_ENDED: Final = Want("v", N(9), ms=1)


def _row(name: str, wants: tuple[Want, ...], observations: tuple[Observation, ...], *words: Word) -> OnMtconnect:
    ok = Observation("ok", NOW, b"<n>")
    return OnMtconnect(name, (*wants, _ENDED, Want("ok", N(), ms=0)), words, (*observations, ok, _END))


def _time(name: str, stamp: bytes | None, ms: int | None = None) -> OnMtconnect:
    """Return a row of an observation that states a time; `ms` is what it means, None for nothing."""
    is_usable = ms is not None
    want = Want("v", N(1), GOOD if is_usable else REPLACED, ms)
    untimed = () if is_usable else (Word("ledger", "source_time"),)
    return _row(name, (want,), (Observation("v", stamp, b"<n+1>"),), *untimed)


ROWS: Final = (
    _time("mt-a2-1601", b"1601-01-01T00:00:00Z"),
    _time("mt-a2-9999", b"9999-12-31T23:59:59.999999Z"),
    _time("mt-c4-zoneless", b"<iso>", 0),
    _time("mt-c4-zone", b"<iso+28800000>+08:00", 0),
    _time("mt-c4-missing", None),
    _time("mt-c4-empty", b""),
    _time("mt-c4-word", b"yesterday"),
    _time("mt-c4-number", b"<ms>"),
    _time("mt-c4-year-1", b"0001-01-01T00:00:00Z"),
    _time("mt-c4-year-1970", b"1970-01-01T00:00:00Z"),
    _time("mt-c4-day-30", b"2026-02-30T12:00:00Z"),
    _time("mt-c4-ahead", b"<iso+3600000>Z"),
    _row(
        "mt-c1-behind-live",
        (Want("v", N(), ms=0), *(Want("v", N(n), ms=n * 1000 - OLD_MS) for n in range(1, 6))),
        (
            Observation("v", NOW, b"<n>"),
            *(Observation("v", b"<iso-%d>Z" % (OLD_MS - n * 1000), b"<n+%d>" % n) for n in range(1, 6)),
        ),
    ),
    _row(
        "mt-c2-frozen",
        (Want("v", N(), ms=0), Want("v", N(1), REPLACED), Want("v", N(2), REPLACED)),
        tuple(Observation("v", NOW, b"<n+%d>" % n, pause_s=1.6 * bool(n)) for n in range(3)),
        Word("ledger", "source_time", 2),
    ),
    _row(
        "mt-c5-one-time",
        tuple(Want("v", N(n), ms=0, ns=n) for n in range(5)),
        tuple(Observation("v", NOW, b"<n+%d>" % n) for n in range(5)),
    ),
)
