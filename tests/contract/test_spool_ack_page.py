"""The test vectors of docs/spool-ack.md are what the code makes, and what it understands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.ack import (
    SPOOL_ACK,
    Ack,
    AckError,
    format_ack,
    format_given,
    format_renew,
    format_uuid,
    parse_ack,
    parse_given,
    parse_uuid,
)
from contract.birth import node_birth
from contract.sparkplug import Code, Metric, Payload, decode, encode, stamp

PAGE = (Path(__file__).parents[2] / "docs" / "spool-ack.md").read_text()
VECTORS = {name: bytes.fromhex(text) for name, text in re.findall(r"^(\w+) +([0-9a-f]+)$", PAGE, re.MULTILINE)}
MS = 1_796_036_000_000
EPOCH = "5f3a9c0e11d2b746"


def data(n: int, seq: int, *, is_historical: bool = False) -> bytes:
    metric = Metric("speed", None, Code.DOUBLE, 1200.5, MS * 1_000_000, is_historical=is_historical)
    return stamp(encode(Payload([metric], time_ms=MS)), seq=seq, uuid=format_uuid(EPOCH, n))


def command(value: str) -> bytes:
    return encode(Payload([Metric(SPOOL_ACK, None, Code.STRING, value, MS * 1_000_000)], time_ms=MS))


def made() -> dict[str, bytes]:
    birth = encode(Payload(node_birth(7, MS * 1_000_000, format_given(EPOCH, 41)), time_ms=MS))
    return {
        "nbirth": stamp(birth, seq=0, uuid=None),
        "ddata_42": data(42, 2),
        "ddata_41_again": data(41, 3, is_historical=True),
        "ack_nothing": command(format_ack(EPOCH, [])),
        "ack_ranges": command(format_ack(EPOCH, [(1, 40), (42, 42)])),
        "renew": command(format_renew(EPOCH)),
    }


def test_the_vectors_are_what_the_code_makes() -> None:
    assert made() == VECTORS


def test_the_vectors_are_understood() -> None:
    def told(name: str) -> str:
        [value] = [metric.value for metric in decode(VECTORS[name]).metrics if metric.name == SPOOL_ACK]
        return str(value)

    assert parse_given(told("nbirth")) == (EPOCH, 41)
    assert [parse_uuid(str(decode(VECTORS[name]).uuid)) for name in ("ddata_42", "ddata_41_again")] == [
        (EPOCH, 42),
        (EPOCH, 41),
    ]
    assert parse_ack(told("ack_nothing")) == Ack(EPOCH, [])
    assert parse_ack(told("ack_ranges")) == Ack(EPOCH, [(1, 40), (42, 42)])
    assert parse_ack(told("renew")) == Ack(EPOCH, [], renew=True)


@pytest.mark.parametrize("text", re.findall(r"^- `([^`]*)` is none", PAGE, re.MULTILINE))
def test_what_the_page_calls_no_acknowledgement_is_none(text: str) -> None:
    with pytest.raises(AckError):
        parse_ack(text)
