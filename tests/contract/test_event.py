"""Events on the wire."""

from __future__ import annotations

import pytest

from contract.event import EVENT, MAX_EVENT_BYTES, Event, EventError, Evidence, event_id, event_metric, read_event
from contract.sparkplug import Payload, decode, encode

HOT = Event(
    id=event_id("cnc-01", "spindle_hot", "active", 5),
    asset="cnc-01",
    name="spindle_hot",
    time_ns=1_790_000_000_123_456_789,
    state="active",
    condition="spindle_hot",
    severity=700,
    texts={"en": "The spindle is hot", "zh": "主轴过热"},
    values={"temperature": 81.5, "tool": "T4", "coolant": False, "parts": 2**60},
    evidence=(Evidence(signal="spindle_temperature", start_ns=1, end_ns=2), Evidence(block="b1", start_ns=1, end_ns=2)),
)


def test_an_event_travels_as_one_metric_that_has_its_name() -> None:
    payload = decode(encode(Payload([event_metric(HOT)], time_ms=1, seq=0)))

    (metric,) = payload.metrics
    assert metric.name == EVENT
    assert metric.alias is None
    assert metric.time_ns == HOT.time_ns
    assert read_event(str(metric.value), "cnc-01") == HOT


def test_the_device_says_whose_event_it_is() -> None:
    assert read_event('{"id":"a","name":"door","time_ns":1}', "cnc-02").asset == "cnc-02"
    with pytest.raises(EventError, match="asset"):
        read_event('{"id":"a","name":"door","time_ns":1,"asset":"cnc-01"}', "cnc-02")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ('{"name":"door","time_ns":1}', "id"),
        ('{"id":"a/b","name":"door","time_ns":1}', "id"),
        ('{"id":"a","name":"","time_ns":1}', "name"),
        ('{"id":"a","name":"door","time_ns":-1}', "time_ns"),
        ('{"id":"a","name":"door","time_ns":9223372036854775808}', "time_ns"),
        ('{"id":"a","name":"door","time_ns":1,"severity":1001}', "severity"),
        ('{"id":"a","name":"door","time_ns":1,"state":"on"}', "state"),
        ('{"id":"a","name":"door","time_ns":1,"colour":"red"}', "colour"),
    ],
)
def test_what_tells_no_event_is_refused_with_the_field(text: str, what: str) -> None:
    with pytest.raises(EventError, match=what):
        read_event(text, "cnc-01")


def test_the_same_facts_have_the_same_id() -> None:
    assert event_id("cnc-01", "hot", 5) == event_id("cnc-01", "hot", 5)
    assert event_id("cnc-01", "hot", 5) != event_id("cnc-01", "hot5", "")
    assert event_id("\ud800") != ""


def test_an_event_that_no_message_holds_is_refused() -> None:
    texts = {str(n): "长" * 2000 for n in range(20)}
    with pytest.raises(EventError, match=str(MAX_EVENT_BYTES)):
        event_metric(HOT.model_copy(update={"texts": texts}))
