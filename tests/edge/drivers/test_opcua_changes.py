"""A notification read at once says what it says when asyncua reads it value by value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from contract.model import Sample
from edge.driver import Counters
from edge.drivers.opcua.changes import Changes
from edge.drivers.opcua.nodes import Item
from edge.drivers.opcua.reading import Reader

NOW = datetime(2026, 12, 1, 12, 0, 0, 123_457, tzinfo=UTC)
TIMES = [NOW, None, datetime(1601, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), NOW - timedelta(days=30_000)]
TYPES = [each for each in ua.VariantType if each.value in range(1, 12)]
VALUES: list[ua.Variant] = [
    *(ua.Variant(True if kind is ua.VariantType.Boolean else 7, kind) for kind in TYPES),
    ua.Variant(23.4, ua.VariantType.Float),
    ua.Variant(float("nan"), ua.VariantType.Double),
    ua.Variant("text", ua.VariantType.String),
    ua.Variant([1.5, 2.5], ua.VariantType.Double),
    ua.Variant(None, ua.VariantType.Null),
]
CODES = [0, ua.StatusCodes.UncertainLastUsableValue, ua.StatusCodes.BadNoCommunication, 0x0480]


def notified(values: list[tuple[int, ua.DataValue]]) -> Changes:
    said = [ua.MonitoredItemNotification(ClientHandle=handle, Value=value) for handle, value in values]
    return Changes(struct_to_binary(ua.DataChangeNotification(MonitoredItems=said)))


def data_values() -> list[ua.DataValue]:
    return [
        ua.DataValue(
            value, None if code is None else ua.StatusCode(code), SourceTimestamp=source, ServerTimestamp=server
        )
        for value in VALUES
        for code in CODES
        for source in TIMES
        for server in (NOW, None)
    ]


def items(count: int, index: int | None = None) -> dict[int, Item]:
    return {handle: Item(f"s{handle}", f"ns=2;i={handle}", ua.NodeId(handle, 2), index) for handle in range(count)}


def comparable(sample: Sample) -> tuple[Any, ...]:
    value = "nan" if sample.value != sample.value else sample.value
    return (*sample[:2], sample.time_ns, type(sample.value), value, int(sample.quality), sample.status)


def test_each_value_time_and_status_is_read_as_asyncua_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.drivers.opcua.reading.time.time_ns", lambda: 5)  # of what states no time
    values = data_values()
    counters, own = Counters(), Counters()
    plain, one_by_one = Reader("m", "utf-8", counters), Reader("m", "utf-8", own)
    known = items(len(values))
    changes = notified(list(enumerate(values)))
    samples, others = changes.samples("m", known, plain.sample)
    decoded = struct_from_binary(ua.DataChangeNotification, Buffer(changes.body)).MonitoredItems
    expected = [one_by_one.sample(known[each.ClientHandle], each.Value) for each in decoded]
    assert others == []
    assert [comparable(sample) for sample in samples] == [comparable(sample) for sample in expected]
    assert counters == own


def test_handles_of_others_are_given_back_as_they_are() -> None:
    value = ua.DataValue(ua.Variant(1.5), SourceTimestamp=NOW)
    reader = Reader("m", "utf-8", Counters())
    samples, others = notified([(0, value), (9, value), (1, value)]).samples("m", items(2), reader.sample)
    assert [sample.signal for sample in samples] == ["s0", "s1"]
    assert [(handle, data.Value.Value) for handle, data in others] == [(9, 1.5)]


def test_an_element_of_an_array_is_read() -> None:
    value = ua.DataValue(ua.Variant([1.5, 2.5]), SourceTimestamp=NOW)
    reader = Reader("m", "utf-8", Counters())
    [sample], _ = notified([(0, value)]).samples("m", items(1, index=1), reader.sample)
    assert sample.value == 2.5


@pytest.mark.parametrize("cut", range(5, 24))  # four bytes say that there are no diagnostics
def test_what_is_cut_off_is_no_notification(cut: int) -> None:
    body = notified([(0, ua.DataValue(ua.Variant(1.5), SourceTimestamp=NOW))]).body
    reader = Reader("m", "utf-8", Counters())
    with pytest.raises(Exception, match=r"unpack|Not enough|requires"):
        Changes(body[:-cut]).samples("m", items(1), reader.sample)
    assert len(Buffer(body)) == len(body)
