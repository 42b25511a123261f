"""Topics: what is written is read, and what is no topic is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.topics import (
    Node,
    SparkplugTopic,
    TopicError,
    UnsTopic,
    check_id,
    parse_sparkplug,
    parse_uns,
    state_topic,
    uns_level,
)

NODE = Node.of("demo", "shanghai", "machining", "line1")


def test_golden_topics() -> None:
    assert NODE.topic("NBIRTH") == "spBv1.0/demo:shanghai:machining/NBIRTH/line1"
    assert NODE.topic("DDATA", "cnc-01") == "spBv1.0/demo:shanghai:machining/DDATA/line1/cnc-01"
    assert state_topic("shopfloor") == "spBv1.0/STATE/shopfloor"
    uns = UnsTopic("demo", "shanghai", "machining", "line1", "cnc-01", "tele")
    assert str(uns) == "v1/demo/shanghai/machining/line1/cnc-01/tele"
    assert parse_uns(str(uns)) == uns


@pytest.mark.parametrize("type_", ["NBIRTH", "NDEATH", "NDATA", "NCMD", "DBIRTH", "DDEATH", "DDATA", "DCMD"])
def test_what_is_written_is_read(type_: str) -> None:
    device = "cnc-01" if type_.startswith("D") else None
    assert parse_sparkplug(NODE.topic(type_, device)) == SparkplugTopic(NODE, type_, device)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "topic",
    ["", "a", "spBv1.0/g/NBIRTH", "spBv1.0/g/NBIRTH/n/d", "spBv1.0/g/DDATA/n", "spBv1.0/g/XDATA/n", "spAv1.0/g/NDATA/n",
     "spBv1.0//NDATA/n", "spBv1.0/STATE/host", "spBv1.0/g/DDATA/n/d/e", "spBv1.0/g/DDATA/n/"],
)  # fmt: skip
def test_what_is_no_sparkplug_topic_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        parse_sparkplug(topic)


@pytest.mark.parametrize("topic", ["", "v1/a/b/c/d/e", "v1/a/b/c/d/e/other", "v2/a/b/c/d/e/tele", "v1/a//c/d/e/tele"])
def test_what_is_no_uns_topic_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        parse_uns(topic)


@pytest.mark.parametrize("text", ["", "A", "-a", "a/b", "a b", "a" * 64, "a\n", "é"])
def test_wrong_ids_are_refused(text: str) -> None:
    with pytest.raises(TopicError, match="not an id"):
        check_id(text)


@given(st.text())
def test_every_text_becomes_a_level(text: str) -> None:
    level = uns_level(text)
    assert level == uns_level(level) or level == "_"
    assert level
    assert not set(level) & set("+#/ ")
