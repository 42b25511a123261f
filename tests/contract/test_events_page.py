"""The test vectors of docs/events.md are what the code makes, and what it understands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from contract.block import BLOCK, Block, Header, block_metric, pack, read_block
from contract.event import EVENT, Event, event_metric, read_event
from contract.sparkplug import Code, Metric, Payload, decode, encode

PAGE: Final = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
_FOUND: Final = re.findall(r"^(\w+) +([0-9a-f]{40,})$", PAGE, re.MULTILINE)
VECTORS: Final = {name: bytes.fromhex(text) for name, text in _FOUND}
MS: Final = 1_796_036_000_000
T: Final = MS * 1_000_000

BIRTH: Final = [
    Metric("speed", None, Code.DOUBLE, 0.0, T),
    Metric(EVENT, None, Code.STRING, None, T),
    Metric(BLOCK, None, Code.BYTES, None, T),
]
HOT: Final = Event(
    id="press-7-4711",
    asset="press-7",
    name="Oil temperature",
    time_ns=T,
    state="active",
    condition="oil_temperature",
    severity=600,
    texts={"en": "Oil is too hot", "zh": "油温过高"},
    values={"celsius": 81.5},
)
HEADER: Final = Header(
    id="press-7-b9",
    asset="press-7",
    sensor="vibration",
    start_ns=T,
    rate_hz=25_600.0,
    unit="m/s2",
    number="int16",
    scale=0.01,
    count=4,
)
SHAKE: Final = Block(header=HEADER, data=pack([1, -2, 3, -4], "int16"))


def test_the_vectors_are_what_the_code_makes() -> None:
    made = {
        "dbirth": Payload(BIRTH, time_ms=MS, seq=1),
        "event": Payload([event_metric(HOT)], time_ms=MS, seq=2),
        "block": Payload([block_metric(SHAKE)], time_ms=MS, seq=3),
    }
    assert {name: encode(payload) for name, payload in made.items()} == VECTORS


def test_the_vectors_are_understood() -> None:
    assert [metric.name for metric in decode(VECTORS["dbirth"]).metrics] == ["speed", EVENT, BLOCK]
    (event,) = decode(VECTORS["event"]).metrics
    assert read_event(str(event.value), "press-7") == HOT
    (block,) = decode(VECTORS["block"]).metrics
    assert read_block(block, "press-7") == SHAKE
    assert list(read_block(block, "press-7").numbers()) == [1, -2, 3, -4]


def test_the_page_names_every_field() -> None:
    for model in (Event, Header):
        assert {name for name in model.model_fields if f"`{name}`" not in PAGE} == {"asset"}
