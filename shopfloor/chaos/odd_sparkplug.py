"""What edge nodes of others send; see shopfloor.chaos.odd. Encoded by the schema of Sparkplug, not by our codec."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from contract import sparkplug_b_pb2 as pb
from contract.model import TIME_REPLACED
from shopfloor.chaos.odd import BAD, GOOD, NODE, Device, Moment, N, OnSparkplug, Want, Word

INT32, INT64, UINT64, DOUBLE, BOOLEAN, STRING = 3, 4, 8, 10, 11, 12
DATASET, BYTES, TEMPLATE, STRING_ARRAY = 16, 17, 19, 33
COMPRESSED: Final = "SPBV1.0_COMPRESSED"
NEVER_MS: Final = 253_402_300_799_999
OLD_MS: Final = 3_000_000
QUOTES: Final = '"' * 600_000

Metrics = Callable[[Moment], Sequence[pb.Metric]]


def payload(moment: Moment, metrics: Sequence[pb.Metric], **fields: Any) -> bytes:
    """Return a payload without `seq`."""
    return pb.Payload(timestamp=moment.ms, metrics=metrics, **fields).SerializeToString()


def _metric(moment: Moment, name: str, code: int = DOUBLE, **value: Any) -> pb.Metric:
    said = {"timestamp": moment.ms, "datatype": code, **(value or {"double_value": moment.n})}
    return pb.Metric(name=name, **said)


def _row(name: str, metrics: Metrics, *wants: Want, words: tuple[Word, ...] = (), **more: Any) -> OnSparkplug:
    """Return a row with these metrics beside a good one, in the birth, and again as data a millisecond later."""

    def all_of(moment: Moment) -> list[pb.Metric]:
        return [*metrics(moment), _metric(moment, "ok")]

    def data(moment: Moment) -> list[bytes]:
        return [payload(moment, all_of(moment._replace(ms=moment.ms + 1)))]

    wants = (*wants, *(Want("ok", N(), ms=0, asset=asset) for asset in {want.asset: "" for want in wants} or ("",)))
    later = tuple(want if want.ms is None else want._replace(ms=want.ms + 1) for want in wants)
    born = tuple(want for want in wants if want.value is not None)  # what a birth has no value of is no sample
    return OnSparkplug(name, (*born, *later), words, lambda m: payload(m, all_of(m)), data, **more)


def _packed(name: str, algorithm: str, pack: Callable[[bytes], bytes]) -> OnSparkplug:
    plain = _row(name, lambda m: [_metric(m, "v")], Want("v", N(), ms=0))

    def packed(body: bytes, moment: Moment) -> bytes:
        how = pb.Metric(name="algorithm", timestamp=moment.ms, datatype=STRING, string_value=algorithm)
        return payload(moment, [how], uuid=COMPRESSED, body=pack(body))

    birth, data = plain.birth, plain.data
    return OnSparkplug(
        name, plain.wants, (), lambda m: packed(birth(m), m), lambda m: [packed(body, m) for body in data(m)]
    )


def _set_aside(name: str, text: str, **value: Any) -> OnSparkplug:
    """Return a row with a metric that is left out, and told."""
    return _row(name, lambda m: [_metric(m, "v", **value)], words=(Word("quarantine", text),))


def _unreadable(name: str, body: Callable[[Moment], bytes], text: str = "") -> OnSparkplug:
    """Return a row of a good birth and of data that cannot be read."""
    sound = _row(name, lambda _: ())
    return OnSparkplug(name, sound.wants[:1], (Word("quarantine", text),), sound.birth, lambda m: [body(m)])


def _quality(moment: Moment) -> list[pb.Metric]:
    said = pb.PropertySet(keys=["Quality"], values=[pb.PropertyValue(type=INT32, int_value=0x80000200)])
    return [_metric(moment, "v", properties=said, double_value=moment.n)]


def _motor(moment: Moment) -> list[pb.Metric]:
    bearing = pb.Template(metrics=[_metric(moment, "temp")])
    members = [_metric(moment, "rpm"), _metric(moment, "bearing", TEMPLATE, template_value=bearing)]
    template = pb.Template(template_ref="MotorType", is_definition=False, metrics=members)
    return [_metric(moment, "Motor1", TEMPLATE, template_value=template)]


def _five(moment: Moment) -> list[bytes]:
    metrics = [pb.Metric(name="v", timestamp=moment.ms + 1, double_value=moment.n + n) for n in range(5)]
    return [payload(moment, metrics)]


def _five_messages(moment: Moment) -> list[bytes]:
    return [
        payload(moment, [pb.Metric(name="v", timestamp=moment.ms + 1, double_value=moment.n + n)])
        for n in (0, 1, 0, 1, 4, 4)  # the last one says again what the one before it said
    ]


def _past(moment: Moment) -> list[bytes]:
    """Data of the last hour, the newest first."""
    stamps = (moment.ms - ms for ms in range(600_000, OLD_MS, 600_000))
    return [payload(moment, [pb.Metric(name="v", timestamp=stamp, double_value=moment.n)]) for stamp in stamps]


ROWS: Final = (
    _packed("sp-e1-deflate", "DEFLATE", zlib.compress),
    _packed("sp-e1-gzip", "GZIP", gzip.compress),
    _unreadable(
        "sp-e1-bomb", lambda m: payload(m, [], uuid=COMPRESSED, body=zlib.compress(bytes(9 << 20))), "compressed"
    ),
    _row("sp-e2-number", lambda m: [_metric(m, "v", INT32, string_value=str(m.n))], Want("v", N(), ms=0)),
    _row("sp-e2-boolean", lambda m: [_metric(m, "v", BOOLEAN, string_value="true")], Want("v", True, ms=0)),
    _row("sp-e2-double", lambda m: [_metric(m, "v", INT32, double_value=5.0)], Want("v", 5.0, ms=0)),
    _row(
        "sp-e2-no-number",
        lambda m: [_metric(m, "v", INT32, string_value="n/a")],
        Want("v", None, BAD, ms=0),
        words=(Word("quarantine", "'n/a'"),),
    ),
    _row("sp-e2-text", lambda m: [_metric(m, "v", STRING, int_value=5)], Want("v", "5", ms=0)),
    _row("sp-e2-nan", lambda m: [_metric(m, "v", double_value=float("nan"))], Want("v", None, BAD, ms=0)),
    _row("sp-e2-null", lambda m: [_metric(m, "v", is_null=True)], Want("v", None, BAD, ms=0)),
    _row("sp-e2-negative", lambda m: [_metric(m, "v", INT32, int_value=2**32 - 5)], Want("v", -5.0, ms=0)),
    _row(
        "sp-e2-controls", lambda m: [_metric(m, "v", STRING, string_value="\u202e\0\n")], Want("v", "\u202e\0\n", ms=0)
    ),
    _row(
        "sp-e2-us",
        lambda m: [_metric(m, "v", timestamp=m.ms * 1000 + 5, double_value=m.n)],
        Want("v", N(), ms=0, ns=5000),
    ),
    _set_aside("sp-e2-type-99", "there is no datatype 99", code=99, double_value=1.0),
    _set_aside("sp-e2-string-array", "STRING_ARRAY", code=STRING_ARRAY, bytes_value=b"a\0b"),
    _row(
        "sp-e2-ns",
        lambda m: [_metric(m, "v", timestamp=m.ms * 1_000_000 + 5, double_value=m.n)],
        Want("v", N(), ms=0, ns=5),
    ),
    _row(
        "sp-e2-never",
        lambda m: [_metric(m, "v", timestamp=NEVER_MS, double_value=m.n)],
        Want("v", N(), GOOD | TIME_REPLACED),
        words=(Word("quarantine", str(NEVER_MS)),),
    ),
    _row(
        "sp-e3-quality",
        _quality,
        Want("v", N(), BAD, ms=0, status=0x80000200),
        words=(Word("quarantine", ""),),
    ),
    _row("sp-e4-udt", _motor, Want("Motor1/rpm", N(), ms=0), Want("Motor1/bearing/temp", N(), ms=0)),
    _set_aside("sp-e4-dataset", "DATASET", code=DATASET, dataset_value=pb.DataSet(num_of_columns=1, columns=["a"])),
    _set_aside("sp-e4-bytes", "BYTES", code=BYTES, bytes_value=b"\1"),
    _row(
        "sp-b1-robots",
        lambda m: [_metric(m, "v")],
        *(Want("v", N(), ms=0, asset=asset) for asset in ("p1:Robot", "p2:Robot")),
        devices=(Device("P1", "L1", "Robot"), Device("P2", "L1", "Robot")),
    ),
    _row(
        "sp-b1-case",
        lambda m: [_metric(m, "v")],
        *(Want("v", N(), ms=0, asset=asset) for asset in ("world:PLC1", "world:plc1")),
        devices=(Device(NODE, "case", "PLC1"), Device(NODE, "case", "plc1")),
    ),
    _row(
        "sp-b2-names",
        lambda m: [_metric(m, "温度", double_value=m.n + 1.0), _metric(m, "压力", double_value=m.n + 2.0)],
        Want("温度", N(1), ms=0),
        Want("压力", N(2), ms=0),
    ),
    _row(
        "sp-b2-composed",
        lambda m: [
            _metric(m, name, double_value=m.n + n) for n, name in enumerate(("Caf\u00e9", "Cafe\u0301", "Cafe"))
        ],
        Want("Caf\u00e9", N(), ms=0),
        Want("Cafe\u0301", N(1), ms=0),
        Want("Cafe", N(2), ms=0),
    ),
    _row(
        "sp-b3-long",
        lambda m: [_metric(m, "x" * (200 + n), double_value=m.n + n) for n in range(3)],
        *(Want("x" * (200 + n), N(n), ms=0) for n in range(3)),
    ),
    _row(
        "sp-b3-flags",
        lambda m: [_metric(m, name, double_value=m.n + n) for n, name in enumerate(("v.quality", "v.status", "v"))],
        Want("v.quality", N(), ms=0),
        Want("v.status", N(1), ms=0),
        Want("v", N(2), ms=0),
    ),
    _row(
        "sp-b3-units",
        lambda m: [_metric(m, f"Druck 1 {unit}", double_value=m.n + n) for n, unit in enumerate(("[bar]", "(bar)"))],
        Want("Druck 1 [bar]", N(), ms=0),
        Want("Druck 1 (bar)", N(1), ms=0),
    ),
    OnSparkplug(
        "sp-c1-past",
        tuple(Want("v", N(), ms=-ms) for ms in range(0, OLD_MS, 600_000)),
        (),
        lambda m: payload(m, [_metric(m, "v")]),
        _past,
    ),
    OnSparkplug(
        "sp-c5-one-time",
        (Want("v", N(), ms=0), *(Want("v", N(n), ms=1, ns=n) for n in range(5))),
        (),
        lambda m: payload(m, [_metric(m, "v")]),
        _five,
    ),
    OnSparkplug(
        "sp-c5-messages",
        (Want("v", N(), ms=0), *(Want("v", N(plus), ms=1, ns=n) for n, plus in enumerate((0, 1, 0, 1, 4)))),
        (),
        lambda m: payload(m, [_metric(m, "v")]),
        _five_messages,
    ),
    _row("sp-d2-uint64", lambda m: [_metric(m, "v", UINT64, long_value=2**64 - 1)], Want("v", 2**64 - 1, ms=0)),
    _row("sp-d2-int64", lambda m: [_metric(m, "v", INT64, long_value=2**53 + 1)], Want("v", 2**53 + 1, ms=0)),
    _row("sp-a12-quotes", lambda m: [_metric(m, "v", STRING, string_value=QUOTES)], Want("v", QUOTES, ms=0)),
    _unreadable("sp-f3-damaged", lambda _: b"\x0a\xff\xff\xff\xff\x0f" * 9),
)
