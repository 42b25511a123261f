"""Commands and replies on the wire."""

from __future__ import annotations

import pytest

from contract.command import (
    Apply,
    Browse,
    Command,
    CommandError,
    Reply,
    SendBlock,
    Verb,
    Write,
    command_metric,
    read_command,
    read_reply,
    reply_metric,
)
from contract.sparkplug import Payload, decode, encode


@pytest.mark.parametrize(
    "do",
    [
        Write(signal="feed_override", value=80.0),
        Write(signal="program", value="O1001"),
        Write(signal="lamp", value=True),
        Write(signal="counter", value=2**62),
        Browse(path="Objects/*", driver="opcua", address="opc.tcp://127.0.0.1:4840"),
        SendBlock(sensor="spindle", start_ns=1, end_ns=2),
        Apply(based_on="0" * 64, machine="press-01", entry={"driver": "mqtt"}),
    ],
)
def test_each_verb_travels_as_it_is(do: Verb) -> None:
    command = Command(id="c-12345678", asset="cnc-01", author="ada", created_ns=1, expires_ns=2, do=do)

    (metric,) = decode(encode(Payload([command_metric(command)], time_ms=1))).metrics

    read = read_command(str(metric.value))
    assert read == command
    if isinstance(do, Write) and isinstance(read.do, Write):
        assert type(read.do.value) is type(do.value)


def test_a_reply_travels_as_it_is() -> None:
    reply = Reply(command_id="c-12345678", outcome="failed", reason="the machine shows 3", value=3, time_ns=5)
    assert read_reply(str(reply_metric(reply).value)) == reply


@pytest.mark.parametrize("text", ["", "{}", '{"id":"c-12345678","author":"ada","created_ns":1,"expires_ns":2,"do":{}}'])
def test_what_tells_no_command_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        read_command(text)


@pytest.mark.parametrize("odd", ["\ud800", 2**64])
def test_what_no_message_can_carry_is_no_value_and_no_entry(odd: object) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        Write.model_validate({"signal": "program", "value": odd})
    with pytest.raises(ValueError, match="cannot be sent"):
        Apply.model_validate({"based_on": "0" * 64, "machine": "press-01", "entry": {"a": [odd]}})
