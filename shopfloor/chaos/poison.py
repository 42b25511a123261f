"""Messages that nobody should send: to the edge as JSON, to the gateway as Sparkplug."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from shopfloor.chaos.source import TOPIC
from simulators.faces.sparkplug import metric, payload

GROUP: Final = "spBv1.0/demo:shanghai:poison"
CONNECT_S: Final = 5.0


def texts() -> Iterator[bytes]:
    """Yield bodies for the edge's JSON driver; none says anything of a known signal, as `null` alone would."""
    yield from (b"", b"{", b"[]", b'"v0"', b"\xff\xfe{}", b"NaN", b'{"ts": NaN}', b'{"other": 1}')
    yield from (b'{"ts": 1e400}', b"[" * 5000 + b"]" * 5000, b'{"ts": "\xff"}', b'{"ts": -1, "other": {}}', b"9" * 5000)
    yield b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


def payloads(dice: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield (topic, body) for the gateway: broken protobuf, and births and data with values that nothing can hold."""
    now = time.time_ns() // 1_000_000
    birth = [metric("bdSeq", 4, 0, now), metric("Node Control/Rebirth", 11, False, now)]
    yield f"{GROUP}/NBIRTH/line1", payload(now, birth, 0)
    values: list[tuple[int, float | int | str]] = [
        (10, float("nan")),
        (10, float("inf")),
        (4, -(2**63)),
        (12, "x" * 9000),
    ]
    metrics = [
        metric(f"s{n}", code, value, now, alias=n) for n, (code, value) in enumerate([*values, (12, "\u202e\0\n")])
    ]
    yield f"{GROUP}/DBIRTH/line1/poison-01", payload(now, metrics, 1)
    good = payload(now, [metric(None, 10, 1.5, now, alias=0), metric(None, 10, 1.5, now, alias=999)], 2)
    yield f"{GROUP}/DDATA/line1/poison-01", good
    yield f"{GROUP}/DDATA/line1/unborn", good
    for _ in range(40):
        broken = bytearray(good)
        for _ in range(3):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        yield f"{GROUP}/DDATA/line1/poison-01", bytes(broken[: dice.randrange(1, len(broken) + 1)])
    yield "spBv1.0/demo:shanghai:assembly/DDATA/line2/robot-02", dice.randbytes(200)
    yield f"{GROUP}/NBIRTH/line2", dice.randbytes(3000)
    yield f"{GROUP}/DDATA/a/b/c/d", b""
    yield "spBv1.0/x/NDATA/y", b"\x00" * 100


def messages(port: int, password: str, publish: Callable[[str, bytes], None], dice: random.Random) -> int:
    """Send all of it to the broker at `port`; return how many messages."""
    count = 0
    for body in texts():
        publish(TOPIC, body)
        count += 1
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="poison", clean_session=True)
    client.username_pw_set("simulator", password)
    _connect(client, port)
    client.loop_start()
    try:
        last = None
        for topic, body in payloads(dice):
            last = client.publish(topic, body, qos=1)
            count += 1
        if last is not None:
            with suppress(RuntimeError):  # the broker was killed meanwhile
                last.wait_for_publish(CONNECT_S)
    finally:
        client.disconnect()
        client.loop_stop()
    return count


def _connect(client: paho.Client, port: int) -> None:
    """Connect, also to a broker that another fault has just killed."""
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            client.connect("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
