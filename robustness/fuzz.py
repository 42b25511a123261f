"""`python -m robustness.fuzz`: odd bytes for each decoder, and for each driver in a session with a real server.

A decoder may refuse a message only by the error that it promises; what it reads must go all the way to the next hop. A
driver may be lost, and may even fail, but nothing of that leaves its machine: a sound neighbor goes on, and the machine
itself is read again once the line is sound.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson
import structlog
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from pydantic import ValidationError

from contract import lineprotocol
from contract.ack import AckError, parse_ack, parse_uuid
from contract.birth import device_birth
from contract.loss import Balance, Entry
from contract.model import Asset, Datatype, Sample, Signal
from contract.sparkplug import Payload, SparkplugError, code_of, decode, encode, encode_samples, to_historical
from contract.sparkplug_split import split
from contract.topics import Node
from edge.driver import Counters
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect.documents import devices, streams
from edge.drivers.mqtt import Entry as MqttEntry
from edge.drivers.mqtt.mapping import Mapping as MqttMapping
from edge.drivers.opcua import decoding
from edge.drivers.opcua.nodes import Item
from edge.drivers.opcua.reading import Reader
from edge.filter import Filter
from edge.host import PrimaryHost
from gateway.birth import Birth, valued
from robustness.mangle import mangled
from robustness.sessions import PEERS, session
from shopfloor.chaos.poison import payloads, texts

NOW_NS: Final = 1_764_500_000_000_000_000
NODE: Final = Node("demo:fuzz:hall", "line1")
SIGNALS: Final = tuple(Signal(f"s-{datatype}", datatype, "mm", 0.0, 10.0, 0.0) for datatype in Datatype)
ASSET: Final = Asset("demo", "fuzz", "hall", "line1", "m-01", "cnc", {"en": "Mill", "zh": "铣床"}, SIGNALS)
ALIASES: Final = {signal.name: n for n, signal in enumerate(SIGNALS, start=1)}
CODES: Final = {signal.name: int(code_of(signal.datatype)) for signal in SIGNALS}


class Target(NamedTuple):
    """A decoder: messages to begin with, what is done with one, and the errors by which it may refuse."""

    corpus: Sequence[bytes]
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]


def _samples() -> list[Sample]:
    values: dict[Datatype, Any] = {Datatype.STRING: "fräsen 铣", Datatype.BOOLEAN: True}
    return [
        Sample("m-01", signal.name, NOW_NS + 17 * n, values.get(signal.datatype, 7), 192, 0x40920000 * (n % 2))
        for n, signal in enumerate(SIGNALS)
    ]


def _births() -> list[bytes]:
    last = {sample.signal: sample for sample in _samples()}
    born = encode(Payload(device_birth(ASSET, ALIASES, last, NOW_NS), time_ms=NOW_NS // 1_000_000, seq=1))
    return [born, *(body for _, body in payloads(random.Random(1)))]


def _to_store(birth: Birth, lines: Iterable[str]) -> None:
    lineprotocol.decode("\n".join(lines).encode())
    birth.signal("s-double")


def _read_birth(body: bytes) -> None:
    birth = Birth(NODE, "m-01", body)
    _to_store(birth, birth.lines(valued(birth.first)))


def _data() -> tuple[list[bytes], Callable[[bytes], None]]:
    birth = Birth(NODE, "m-01", _births()[0])
    plain = [Sample("m-01", "s-double", NOW_NS, float(n)) for n in range(20)]
    corpus = [encode_samples(_samples(), ALIASES, CODES), encode_samples(plain, ALIASES, CODES)]
    names = {alias: name for name, alias in ALIASES.items()}
    codes = {alias: CODES[name] for alias, name in names.items()}
    corpus.append(to_historical(corpus[0], names, codes))

    def read(body: bytes) -> None:
        _to_store(birth, birth.lines(valued(birth.read(body, NOW_NS))))
        for part in split(to_historical(body, names, codes), 700)[0]:
            decode(part)

    return corpus, read


def _edge(samples: Iterable[Sample], signals: Sequence[Signal]) -> None:
    """Take samples of a driver as far as the spool."""
    passed = Filter(signals).update(list(samples), NOW_NS)
    aliases = {signal.name: n for n, signal in enumerate(signals, start=1)}
    encode_samples([*passed.live, *passed.past], aliases, {s.name: int(code_of(s.datatype)) for s in signals})


def _json() -> tuple[list[bytes], Callable[[bytes], None]]:
    paths = {
        "s-double": "a.b[0].c",
        "s-int32": "ceil(to_number(n))",
        "s-string": "s",
        "s-boolean": "ok",
        "s-uint64": "n",
    }
    entry = MqttEntry.model_validate(
        {
            "address": "mqtt://127.0.0.1",
            "topic": "m/1",
            "time": {"path": "t"},
            "signals": {name: {"path": path} for name, path in paths.items()},
        }
    )
    body = {"a": {"b": [{"c": 1.5}]}, "n": "17", "s": "läuft", "ok": True, "t": NOW_NS // 1_000_000}
    corpus = [
        orjson.dumps(body),
        orjson.dumps(body | {"n": "inf"}),
        orjson.dumps(body | {"n": None, "t": "2026-11-30T13:00:00Z"}),
        *texts(),
    ]

    def read(body: bytes) -> None:
        items = MqttMapping("m-01", entry, Counters()).items("m/1", body, NOW_NS)
        _edge((item for item in items if isinstance(item, Sample)), SIGNALS)

    return corpus, read


_STREAMS: Final = b"""<?xml version="1.0"?><MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:2.0"><Header
 instanceId="1" bufferSize="128" firstSequence="1" lastSequence="9" nextSequence="10"/><Streams><DeviceStream name="m"
 uuid="u"><ComponentStream component="Rotary" componentId="c"><Samples><SpindleSpeed dataItemId="s" sequence="3"
 timestamp="2026-11-30T13:00:00.123456789Z">1.5</SpindleSpeed></Samples><Condition><Fault dataItemId="f" sequence="4"
 type="SYSTEM" timestamp="2026-11-30T13:00:00Z">hot</Fault></Condition></ComponentStream></DeviceStream></Streams>
</MTConnectStreams>"""
_DEVICES: Final = b"""<?xml version="1.0"?><MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0"><Header
 instanceId="1" bufferSize="128"/><Devices><Device id="d" name="m" uuid="u"><DataItems><DataItem id="s" name="speed"
 category="SAMPLE" type="SPINDLE_SPEED" units="REVOLUTION/MINUTE"/></DataItems></Device></Devices></MTConnectDevices>"""


def _opcua() -> tuple[list[bytes], Callable[[bytes], None]]:
    now = datetime(2026, 11, 30, 13, tzinfo=UTC)
    values = (1.5, 7, True, "fräsen", now, b"\x00\xff", [1.0, 2.0], ua.NodeId(7, 2), ua.LocalizedText("läuft", "de"))
    corpus = [
        struct_to_binary(ua.DataValue(ua.Variant(value), SourceTimestamp=now, ServerTimestamp=now)) for value in values
    ]

    reader = Reader("m-01", "utf-8", Counters())
    items = [Item(signal.name, "", ua.NodeId(7, 2), None) for signal in SIGNALS]

    def read(body: bytes) -> None:
        try:
            data = struct_from_binary(ua.DataValue, Buffer(body))
        except Exception as error:
            if decoding.is_damage(error):
                raise _DamagedError from error
            raise
        _edge([reader.sample(item, data) for item in items], SIGNALS)

    return corpus, read


class _DamagedError(Exception):
    """The library says that it cannot decode a message: that loses the line."""


def _words(body: bytes) -> None:
    text = body.decode(errors="replace")
    PrimaryHost("shopfloor").update(body)
    for parse in (parse_ack, parse_uuid, Entry.model_validate_json, Balance.model_validate_json):
        try:
            parse(text)
        except (AckError, ValidationError):
            continue


def decoders() -> dict[str, Target]:
    """Return every decoder by name."""
    entry = Entry(id=7, reason="offline", start_ns=1, end_ns=2, detail="ab").model_dump_json().encode()
    lines = [b'cnc,site=a,asset=b\\ c speed=1.5,n=7i,u=8u,ok=t,s="x \\"y\\"" 1764500000000000000\n# a\ncnc v=1 5']
    words = [b"epoch:1-500,620-640,9223372036854775807", b"epoch:17", b'{"online":true,"timestamp":17}', entry]
    return {
        "births": Target(_births(), _read_birth, (SparkplugError,)),
        "data": Target(*_data(), (SparkplugError,)),
        "lines": Target(lines, lineprotocol.decode, (lineprotocol.LineError,)),
        "words": Target(words, _words, ()),
        "json": Target(*_json(), ()),
        "mtconnect-streams": Target([_STREAMS], streams, (AnswerError,)),
        "mtconnect-devices": Target([_DEVICES], devices, (AnswerError,)),
        "opcua-values": Target(*_opcua(), (_DamagedError,)),
    }


def fuzz(target: Target, seconds: float, dice: random.Random, most: int | None = None) -> tuple[int, list[str]]:
    """Read mangled messages for a while, at most `most`; return how many, and the first error that is no refusal."""
    count, end_s = 0, time.monotonic() + seconds
    while time.monotonic() < end_s and (most is None or count < most):
        body = mangled(dice.choice(target.corpus), dice, target.corpus)
        count += 1
        try:
            target.read(body)
        except target.refusals:
            continue
        except Exception as error:  # noqa: BLE001 - to find them is the purpose
            trace = traceback.format_exc(limit=-6)
            return count, [f"{type(error).__name__}: {error}, by {body[:400]!r}\n{trace}"]
    return count, []


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the chosen targets; return 1 when something was found."""
    known: Mapping[str, Target] = decoders()
    names = [*known, *(f"session-{driver}" for driver in PEERS)]
    parser = argparse.ArgumentParser(prog="python -m robustness.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *names], help="all of them when none is named")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = False
    for name in options.targets or names:
        dice = random.Random(f"{options.seed} {name}")
        if name in known:
            count, findings = fuzz(known[name], options.seconds, dice)
            _say(f"{name}: {count} messages")
        else:
            outcome = asyncio.run(session(name.removeprefix("session-"), options.seconds, dice))
            findings = outcome.findings
            _say(
                f"{name}: {outcome.damaged} damages, {outcome.samples} samples, lost {outcome.losses} times, "
                f"failed {outcome.failures} times; the computer stood still {outcome.stood} times"
            )
        for finding in findings:
            found = True
            _say(f"FOUND in {name}: {finding}")
    return 1 if found else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
