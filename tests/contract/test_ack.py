"""The words of the acknowledgement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.ack import Ack, AckError, format_ack, format_uuid, parse_ack, parse_uuid


def test_golden_words() -> None:
    assert format_uuid("0a1b", 7) == "0a1b:7"
    assert format_ack("0a1b", [(1, 500), (620, 640), (700, 700)]) == "0a1b:1-500,620-640,700"
    assert parse_ack("0a1b:1-500,620-640,700") == Ack("0a1b", [(1, 500), (620, 640), (700, 700)])
    assert parse_ack("0a1b:") == Ack("0a1b", [])


@given(st.sets(st.integers(1, 2**63 - 1), max_size=20))
def test_what_is_written_is_read(bounds: set[int]) -> None:
    ordered = sorted(bounds)
    intervals = list(zip(ordered[::2], ordered[1::2], strict=False))
    assert parse_ack(format_ack("e", intervals)) == Ack("e", intervals)
    for n in bounds:
        assert parse_uuid(format_uuid("e", n)) == ("e", n)


@pytest.mark.parametrize(
    "text",
    ["", "e", ":1", "E:1", "e:0", "e:2-1", "e:1,1", "e:5,1", "e:1,", "e:,1", "e:1-", "e:-1", "e:1-2-3", "e:1-12-3",
     "e: 1", "e:1\n", "e:１", f"e:{2**63}", "e:" + "9" * 20, "a" * 33 + ":1"],
)  # fmt: skip
def test_what_is_no_acknowledgement_is_refused(text: str) -> None:
    with pytest.raises(AckError):
        parse_ack(text)


@pytest.mark.parametrize("uuid", ["", "e", "e:0", "e:01", "e:-1", f"e:{2**63}", "e:1\n", "urn:uuid:5", "e:1:2", "e:１"])
def test_a_foreign_uuid_is_refused(uuid: str) -> None:
    with pytest.raises(AckError):
        parse_uuid(uuid)


@given(st.text("e:0123-,\n", max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        ack = parse_ack(text)
    except AckError:
        return
    assert parse_ack(format_ack(ack.epoch, ack.intervals)) == ack
