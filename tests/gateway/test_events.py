"""Events on the unified namespace: each once, and what was not shown is counted."""

from __future__ import annotations

import orjson

from contract.event import EVENT, Event, event_metric
from contract.sparkplug import Code, Metric, Payload, encode
from gateway.events import MOST_WAITING, EventMirror
from tests.gateway.wire import CNC, START_NS


def message(*ids: str, text: str = "") -> bytes:
    said = [Event(id=each, asset=CNC.id, name="door", time_ns=START_NS) for each in ids]
    odd = [Metric(EVENT, None, Code.STRING, text, START_NS)] if text else []
    return encode(Payload([*map(event_metric, said), *odd]))


def test_an_event_is_shown_once_with_its_asset() -> None:
    mirror, shown = EventMirror(), list[tuple[str, bytes]]()
    mirror.take(CNC, message("e1", "e2", text='{"id": "no event"}'))
    mirror.take(CNC, b"\xff" + EVENT.encode())
    assert mirror.tick(lambda topic, payload: not shown.append((topic, payload))) == 2
    assert mirror.tick(lambda *_: True) == 0
    assert {topic for topic, _ in shown} == {"v1/demo/shanghai/machining/line1/cnc-01/event"}
    assert [(said["id"], said["asset"]) for said in map(orjson.loads, (payload for _, payload in shown))] == [
        ("e1", "cnc-01"),
        ("e2", "cnc-01"),
    ]
    assert mirror.missed == 0


def test_what_was_not_shown_is_counted() -> None:
    mirror = EventMirror()
    for n in range(MOST_WAITING + 3):
        mirror.take(CNC, message(f"e{n}"))
    assert mirror.missed == 3
    assert mirror.tick(lambda *_: False) == 0
    assert mirror.missed == MOST_WAITING + 3
