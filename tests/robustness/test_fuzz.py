"""A sample of the mangled messages and sessions (`make fuzz` goes on for a minute each)."""

from __future__ import annotations

import random

import pytest

from robustness.fuzz import Target, decoders, fuzz
from robustness.mangle import mangled
from robustness.sessions import PEERS, session

DECODERS = decoders()


@pytest.mark.parametrize("name", DECODERS)
def test_a6_a_decoder_refuses_odd_bytes_by_its_own_error(name: str) -> None:
    count, findings = fuzz(DECODERS[name], 30, random.Random(5), most=1000)
    assert (count, findings) == (1000, [])


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_reads_what_the_mangled_messages_are_made_of(name: str) -> None:
    DECODERS[name].read(DECODERS[name].corpus[0])


@pytest.mark.parametrize("driver", PEERS)
async def test_a6_damaged_bytes_from_a_server_are_trouble_of_its_machine_alone(driver: str) -> None:
    outcome = await session(driver, 4, random.Random(7))
    assert outcome.findings == []
    assert outcome.damaged > 0
    assert outcome.samples > 0


def test_what_a_decoder_should_not_raise_is_found() -> None:
    target = Target([b"abc"], lambda body: body.decode(), (LookupError,))
    count, [finding] = fuzz(target, 30, random.Random(1))
    assert count > 0
    assert finding.startswith("UnicodeDecodeError")


def test_a_mangled_message_is_another_one_and_the_same_for_each_seed() -> None:
    made = [mangled(b"a message of some length", random.Random(seed), [b"another"]) for seed in range(100)]
    assert len(set(made)) > 90
    assert made == [mangled(b"a message of some length", random.Random(seed), [b"another"]) for seed in range(100)]
