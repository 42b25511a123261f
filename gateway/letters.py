"""What a record says to the cloud: one line of JSON for each event, block or reply in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import orjson

from contract.block import BLOCK, BlockError, read_block
from contract.command import REPLY, CommandError, Reply, read_reply
from contract.event import EVENT, MAX_EVENT_BYTES, EventError, read_event
from contract.identity import Ids
from contract.loss import SourceLedger
from contract.sparkplug import Metric, SparkplugError, decode
from contract.topics import Node, parse_sparkplug
from spool import Record

MOST_BYTES: Final = 1 << 20  # of one request, before gzip
AHEAD_NS: Final = 86_400_000_000_000
"""So far ahead of its arrival the time of an event may be. Its edge has judged it by a clock of its own; that of the
gateway may be wrong by hours, and the samples beside the event keep their times, too."""

Kind = Literal["event", "block", "reply", "ledger"]


class LetterError(ValueError):
    """What is in a record cannot be told to the cloud; says why."""


class Letter(NamedTuple):
    """A line for the cloud, and the record that it is of (None: of none)."""

    kind: Kind
    node: Node
    line: bytes
    n: int | None = None


def letters_of(record: Record, ids: Ids) -> Iterator[Letter | LetterError]:
    """Give what a record says to the cloud; an error in the place of what cannot be read of it."""
    topic = parse_sparkplug(record.topic)
    try:
        metrics = decode(record.body).metrics
    except SparkplugError as error:
        yield LetterError(str(error))
        return
    asset = ids.asset(topic.node, topic.device)
    for metric in metrics:
        if metric.name not in (EVENT, BLOCK, REPLY) or metric.value is None:
            continue
        try:
            kind, content = _read(metric, asset, record.time_ns)
        except (EventError, BlockError, CommandError) as error:
            yield LetterError(f"{metric.name}: {error}")
            continue
        line = _line(kind, topic.node, asset, content)
        if len(line) > MOST_BYTES:
            yield LetterError(f"{metric.name}: {len(line)} bytes are more than a request to the cloud holds")
        else:
            yield Letter(kind, topic.node, line, record.n)


def ledger_letter(node: Node, asset: str, told: SourceLedger) -> Letter:
    """Return the line that tells the ledger of a source."""
    return Letter("ledger", node, _line("ledger", node, asset, {"ledger": _json(told.model_dump_json())}))


def reply_letter(node: Node, asset: str, reply: Reply) -> Letter:
    """Return the line that tells a reply which no record holds."""
    return Letter("reply", node, _line("reply", node, asset, {"reply": _json(reply.model_dump_json())}))


def _read(metric: Metric, asset: str, arrived_ns: int) -> tuple[Kind, dict[str, object]]:
    if metric.name == BLOCK:
        block = read_block(metric, asset)
        data = base64.b64encode(block.data).decode()
        return "block", {"header": _json(block.header.model_dump_json()), "data": data}
    text = metric.value
    if not isinstance(text, str):
        raise EventError("its value is no text")
    if metric.name == REPLY:
        return "reply", {"reply": _json(read_reply(text).model_dump_json())}
    if len(text.encode(errors="replace")) > MAX_EVENT_BYTES:
        raise EventError(f"it has more than {MAX_EVENT_BYTES} bytes")
    event = read_event(text, asset)
    if event.time_ns > arrived_ns + AHEAD_NS:  # else it would be the newest for ever
        event = event.model_copy(update={"time_ns": arrived_ns, "time_replaced": True})
    return "event", {"event": _json(event.model_dump_json())}


def _json(text: str) -> orjson.Fragment:
    return orjson.Fragment(text)


def _line(kind: Kind, node: Node, asset: str, content: dict[str, object]) -> bytes:
    return orjson.dumps({"kind": kind, "node": "/".join(node), "asset": asset, **content})
