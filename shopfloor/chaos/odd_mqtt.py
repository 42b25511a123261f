"""What devices send on MQTT; see shopfloor.chaos.odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shopfloor.chaos.odd import BAD, GOOD, REPLACED, UNCERTAIN, Message, N, OnMqtt, OnNumbers, Want, Word

OK: Final = Want("ok", N())
UNREAD: Final = (Word("ledger", "not_understood"),)
UNTIMED: Final = (Word("ledger", "source_time", 2),)
TS: Final[Mapping[str, Any]] = {"time": {"path": "ts"}}
OLD_MS: Final = 3_000_000


def _signals(**v: Any) -> dict[str, Any]:
    return {"signals": {"v": {"path": "v", **v}, "ok": {"path": "ok", "datatype": "double"}}}


def _one(
    name: str, body: bytes, v: Want | None, *words: Word, ok: Want | None = OK, retain: bool = False, **options: Any
) -> OnMqtt:
    """Return a row of one message, with a value `v` and a sound neighbor `ok`."""
    wants = tuple(want for want in (v, ok) if want is not None)
    return OnMqtt(name, wants, words, (Message(body, retain=retain),), _signals() | options)


def _time(name: str, ts: bytes, ms: int | None = None, **time: Any) -> OnMqtt:
    """Return a row whose message states a time; `ms` is what it means, None for nothing."""
    at = Want("v", N(1), GOOD if ms is not None else REPLACED, ms)
    ok = at._replace(signal="ok", value=N())
    body = b'{%b"v":<n+1>,"ok":<n>}' % (b'"ts":' + ts + b"," if ts else b"")
    return _one(name, body, at, *(UNTIMED if ms is None else ()), ok=ok, time={"path": "ts", **time})


def _fleet(name: str, *labels: str) -> OnMqtt:
    """Return a row of devices whose names are much alike, on topics that name them."""
    messages = tuple(
        Message(b'{"v":<n+%d>,"ok":<n+%d>}' % (n, n), f"{name}/{label}/t") for n, label in enumerate(labels)
    )
    wants = tuple(Want(signal, N(n), asset=label) for n, label in enumerate(labels) for signal in ("v", "ok"))
    return OnMqtt(name, wants, (), messages, _signals() | {"topic": f"machines/{name}/{{asset}}/t"})


ROWS: Final = (
    _one("a3-inf", b'{"v":"inf","ok":<n>}', None, *UNREAD, **_signals(path="ceil(to_number(v))")),
    _one("a3-nan", b'{"v":"nan","ok":<n>}', None, *UNREAD, **_signals(path="floor(to_number(v))")),
    _one("a3-digits", b'{"v":%b,"ok":<n>}' % (b"9" * 5000), Want("v", None, BAD), *UNREAD),
    _one("a4-list", b'{"v":[1,2],"ok":<n>}', None, *UNREAD, **_signals(datatype="double")),
    _one("a4-object", b'{"v":{"x":1},"ok":<n>}', None, *UNREAD),
    _one("a4-sort", b'{"v":[{"n":1},{"n":"a"}],"ok":<n>}', None, *UNREAD, **_signals(path="max_by(v, &n)")),
    _one(
        "a7-text",
        b'{"v":"%b","ok":<n>}' % (b"x" * 600_000),
        Want("v", None, BAD),
        Word("ledger", "too_large"),
        **_signals(datatype="string"),
    ),
    _one(
        "a7-chinese",
        b'{"v":"%b","ok":<n>}' % ("温" * 100_000).encode(),
        Want("v", None, BAD),
        Word("ledger", "too_large"),
        **_signals(datatype="string"),
    ),
    _fleet("b1-case", "PLC1", "plc1", "Plc1"),
    _fleet("b2-chinese", "铣床1", "车床1", "铣床2", "车床2"),
    _fleet("b2-composed", "Caf\u00e9", "Cafe\u0301", "cafe"),
    _fleet("b2-robots", "🤖", "🦾", "🤖🤖"),
    _fleet("b3-long", "x" * 100, "x" * 100 + "y", "x" * 101),
    _fleet("b3-signs", "dev.1", "dev-1", "dev(1)"),
    OnMqtt(
        "b4-overlap",
        (Want("v", N()), Want("ok", N())),
        (),
        (Message(b'{"v":<n>,"ok":<n>}', "b4-overlap/a"),),
        {
            "one_asset": True,
            "signals": {
                "v": {"path": "v", "topic": "machines/b4-overlap/a"},
                "ok": {"path": "ok", "topic": "machines/b4-overlap/+"},
            },
        },
    ),
    OnMqtt(
        "c1-newest-first",
        tuple(Want("v", N(n), ms=-n * 60_000) for n in range(8)),
        (),
        tuple(Message(b'{"ts":<ms-%d>,"v":<n+%d>}' % (n * 60_000, n)) for n in range(8)),
        {**_signals(), **TS},
    ),
    OnMqtt(
        "c1-behind-live",
        (Want("v", N(), ms=0), *(Want("v", N(n), ms=n * 1000 - OLD_MS) for n in range(1, 6))),
        (),
        (
            Message(b'{"ts":<ms>,"v":<n>}'),
            *(Message(b'{"ts":<ms-%d>,"v":<n+%d>}' % (OLD_MS - n * 1000, n)) for n in range(1, 6)),
        ),
        {**_signals(), **TS},
    ),
    OnMqtt(
        "c1-sent-twice",
        tuple(Want("v", N(n), ms=-n * 1000) for n in range(3)),
        (),
        tuple(Message(b'{"ts":<ms-%d>,"v":<n+%d>}' % (n * 1000, n)) for n in (0, 1, 2, 0, 1, 2)),
        {**_signals(), **TS},
    ),
    OnMqtt(
        "c2-frozen",
        (Want("v", N(), ms=0), Want("v", N(1), REPLACED), Want("v", N(2), REPLACED)),
        (Word("ledger", "source_time", 2),),
        tuple(Message(b'{"ts":<ms>,"v":<n+%d>}' % n, pause_s=1.3 * n) for n in (0, 1, 2)),
        {**_signals(), **TS},
    ),
    _one("c3-retained", b'{"v":<n+1>,"ok":<n>}', Want("v", N(1)), retain=True),
    _one(
        "c3-retained-time",
        b'{"ts":<ms-%d>,"v":<n+1>,"ok":<n>}' % OLD_MS,
        Want("v", N(1), ms=-OLD_MS),
        ok=Want("ok", N(), ms=-OLD_MS),
        retain=True,
        **TS,
    ),
    _time("c4-zoneless", b'"<iso>"', 0, unit="iso"),
    _time("c4-zone", b'"<iso+28800000>"', 0, unit="iso", zone="Asia/Shanghai"),
    _time("c4-text", b'"<ms>"', 0),
    _time("c4-missing", b""),
    _time("c4-null", b"null"),
    _time("c4-word", b'"yesterday"'),
    _time("c4-zero", b"0"),
    _time("c4-object", b"{}"),
    _time("c4-huge", b"1e300"),
    _time("c4-long", b'"' + b"9" * 200 + b'"'),
    _time("c4-day", b'"12:00:00"', unit="iso"),
    _time("c4-negative", b"-1"),
    _time("c4-year-1", b'"0001-01-01T00:00:00"', unit="iso"),
    _time("c4-year-1601", b'"1601-01-01T00:00:00Z"', unit="iso"),
    _time("c4-year-9999", b'"9999-12-31T23:59:59.999Z"', unit="iso"),
    _time("c4-ahead", b"<ms+3600000>"),
    OnMqtt(
        "c5-one-time",
        tuple(Want("v", N(n), ms=0, ns=n) for n in range(5)),
        (),
        tuple(Message(b'{"ts":<ms>,"v":<n+%d>}' % n) for n in range(5)),
        {**_signals(), **TS},
    ),
    _time("c7-fraction", b"<s>", 0, unit="s"),
    OnMqtt(
        "d1-text",
        (Want("v", "0012"), Want("v", "00E5"), Want("v", " 1e5 ")),
        (),
        (Message(b"0012"), Message(b"00E5"), Message(b" 1e5 ")),
        {"payload": "text", "signals": {"v": {"datatype": "string"}}},
    ),
    _one("d2-int64", b'{"v":9007199254740993,"ok":<n>}', Want("v", 2**53 + 1), **_signals(datatype="int64")),
    _one("d2-uint64", b'{"v":18446744073709551615,"ok":<n>}', Want("v", 2**64 - 1), **_signals(datatype="uint64")),
    _one(
        "d2-rounded",
        b'{"v":9007199254740993,"ok":<n>}',
        Want("v", 2.0**53, UNCERTAIN),
        Word("health", "rounded_total"),
        **_signals(datatype="double"),
    ),
    _one("d3-boolean", b'{"v":true,"ok":<n>}', Want("v", True), **_signals(datatype="boolean")),
    OnMqtt(
        "d5-no-type",
        (Want("v", N()), Want("v", None, BAD)),
        UNREAD,
        (Message(b'{"v":<n>}'), Message(b'{"v":"O<n>"}')),
        {"signals": {"v": {"path": "v"}}},
    ),
    _one("d3-word", b'{"v":"on","ok":<n>}', Want("v", True), **_signals(datatype="boolean")),
    _one("d3-two", b'{"v":2,"ok":<n>}', Want("v", None, BAD), *UNREAD, **_signals(datatype="boolean")),
    _one("d6-null", b'{"v":null,"ok":<n>}', Want("v", None, BAD)),
    OnMqtt("d6-null-whole", (Want("v", None, BAD),), (), (Message(b"null"),), {"signals": {"v": {"path": "v"}}}),
    _one("e5-nan", b'{"v":NaN,"ok":<n>}', Want("v", None, BAD), *UNREAD),
    _one("e5-infinity", b'{"v":-Infinity,"ok":<n>}', Want("v", None, BAD), *UNREAD),
    _one("e5-nothing", b'{"v":,"ok":<n>}', Want("v", None, BAD), *UNREAD),
    _one("e5-bom", b'\xef\xbb\xbf{"v":<n+1>,"ok":<n>}', Want("v", N(1))),
    _one("e5-nul", b'{"v":<n+1>,"ok":<n>}\0\0', Want("v", N(1))),
    _one("e5-utf-16", '\ufeff{"v":1,"ok":2}'.encode("utf-16-le"), Want("v", 1.0), ok=Want("ok", 2.0)),
    _one("e5-latin-1", b'{"v":"M\xf6tor","ok":<n>}', Want("v", "M\ufffdtor", UNCERTAIN)),
    _one("e5-gbk", '{"v":"温度","ok":<n>}'.encode("gbk"), Want("v", "\ufffd¶\ufffd", UNCERTAIN)),
    _one("e5-gbk-stated", '{"v":"温度","ok":<n>}'.encode("gbk"), Want("v", "温度"), encoding="gbk"),
    _one("e5-half-a-pair", rb'{"v":"\ud83e","ok":<n>}', Want("v", "\ufffd", UNCERTAIN)),
    _one("e5-control", b'{"v":"line\nbreak\x01","ok":<n>}', Want("v", "line\nbreak\x01")),
    _one("e5-comma", b'{"v":<n+1>,"ok":<n>,}', Want("v", N(1))),
    _one("e5-twice", b'{"v":1,"v":<n+1>,"ok":<n>}', Want("v", N(1))),
    _one("e5-no-json", b'{"v" 1,"ok":<n>}', None, *UNREAD, ok=None),
    _one("e8-false", b'{"v":<n+1>,"q":false,"ok":<n>}', Want("v", N(1), BAD), **_signals(quality="q")),
    _one(
        "e8-status",
        b'{"v":<n+1>,"q":{"Code":2150891520},"ok":<n>}',
        Want("v", N(1), BAD, status=2150891520),
        **_signals(quality="q"),
    ),
)


def _forged(name: str, numbers: tuple[int, ...], word: Word) -> OnNumbers:
    # a stated type: an edge node announces a signal without one only when it has a value
    sent = _one(name, b'{"v":<n>,"ok":<n>}', Want("v", N()), **_signals(datatype="double"))
    wants = tuple(Want("v", N(k), ms=k) for k in range(1, len(numbers) + 1))
    return OnNumbers(name, (*sent.wants, *wants), (word,), sent.messages, sent.options, numbers)


FORGED: Final = (
    _forged("f2-acknowledged", (-6, -5, -4, -3, -2), Word("node", "identity", 5)),
    _forged("f2-next", (1, 2, 3, 4, 500), Word("node", "edge_spool")),
)
