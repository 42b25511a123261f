"""What goes in comes out with the same value and type, through the gateway's lines and each store."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.telemetry.exact import values
from cloud.telemetry.store import Query, Store, Stored
from cloud.telemetry.times import format_time
from contract.model import Asset, Datatype, Sample, Signal, Value
from contract.sparkplug import Decoder, Metric, code_of, encode_samples
from contract.sparkplug_values import shortest
from gateway.birth import LineWriter
from tests.cloud.telemetry.conftest import ORG, Kept

T = 1_700_000_000_000_000_000
MINUTE = 60 * 10**9
INTEGERS: Final = {
    Datatype.INT8: (-(2**7), 2**7 - 1),
    Datatype.INT16: (-(2**15), 2**15 - 1),
    Datatype.INT32: (-(2**31), 2**31 - 1),
    Datatype.INT64: (-(2**63), 2**63 - 1),
    Datatype.UINT8: (0, 2**8 - 1),
    Datatype.UINT16: (0, 2**16 - 1),
    Datatype.UINT32: (0, 2**32 - 1),
    Datatype.UINT64: (0, 2**64 - 1),
    Datatype.DATETIME: (0, 2**64 - 1),
}
VALUES: dict[Datatype, st.SearchStrategy[Value]] = {
    datatype: st.integers(*limits) | st.sampled_from(limits) for datatype, limits in INTEGERS.items()
} | {
    Datatype.BOOLEAN: st.booleans(),
    Datatype.STRING: st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=10),
    Datatype.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False).map(shortest),
    Datatype.DOUBLE: st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda number: number == 0 or abs(number) > 1e-300
    ),
}
SIGNALS = tuple(Signal(datatype.value, datatype) for datatype in Datatype)
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(list(Datatype)).flatmap(lambda datatype: st.tuples(st.just(datatype), VALUES[datatype])),
        st.integers(0, 3),
        st.sampled_from([192, 192, 0, 64, 500, 704]),
        st.sampled_from([0, 0, 0x40920000, 2**32 - 1]),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda sample: (sample[0][0], sample[1]),
)


@dataclass
class Chain:
    """A gateway's reader and writer of an asset of its own, before a store."""

    store: Store

    def __post_init__(self) -> None:
        """Give the asset all datatypes."""
        self.asset = Asset("e", "s", "a", "l", f"m-{uuid.uuid4().hex}", "cnc", {}, SIGNALS)
        self._codes = {signal.name: code_of(signal.datatype) for signal in SIGNALS}
        self._aliases = {signal.name: n for n, signal in enumerate(SIGNALS, 1)}
        self._decoder = Decoder([Metric(name, self._aliases[name], code) for name, code in self._codes.items()])
        self._writer = LineWriter(self.asset)

    def send(self, samples: list[Sample]) -> None:
        """Let samples go all the way into the store."""
        batch = self._decoder.read(encode_samples(samples, self._aliases, self._codes))
        self.store.write("\n".join(self._writer.lines(batch)).encode())

    def query(self, *signals: str) -> Query:
        """Return what asks for signals."""
        return Query(self.asset.id, signals or tuple(signal.name for signal in SIGNALS), T, T + MINUTE)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn=SAMPLES)
def test_d2_d3_d4_e7_a_sample_comes_out_as_it_went_in(store: Store, drawn: list[tuple]) -> None:  # type: ignore[type-arg]
    chain = Chain(store)
    sent = [
        Sample(chain.asset.id, datatype.value, T + at, value, quality, status)
        for (datatype, value), at, quality, status in drawn
    ]
    chain.send(sent)
    table = store.samples(chain.query(), 1000)
    found = zip(
        table["signal"].to_pylist(),
        values(table),
        table["quality"].to_pylist(),
        [status or 0 for status in table["status"].to_pylist()],
        strict=True,
    )
    small = {datatype.value for datatype in INTEGERS if datatype.value not in ("int64", "uint64", "datetime")}
    wanted = sorted((one.signal, one.time_ns, one.value, one.quality, one.status) for one in sent)
    assert [repr(row) for row in found] == [
        repr((signal, float(value) if signal in small else value, quality, status))
        for signal, _, value, quality, status in wanted
    ]
    newest = {one.signal: one for one in sorted(sent, key=lambda one: one.time_ns)}
    last = store.last([chain.asset.id])
    assert last["signal"].to_pylist() == sorted(newest)
    for signal, value, quality in zip(
        last["signal"].to_pylist(), values(last), last["quality"].to_pylist(), strict=True
    ):
        assert (value, quality) == (newest[signal].value, newest[signal].quality)


def test_d2_d3_each_type_has_its_column(store: Store) -> None:
    chain = Chain(store)
    said: dict[str, Value] = {"int64": -(2**63), "uint64": 2**64 - 1, "boolean": False, "float": 23.4, "string": "5i"}
    chain.send([Sample(chain.asset.id, name, T, value) for name, value in said.items()])
    rows = {row["signal"]: row for row in store.samples(chain.query(), 100).to_pylist()}
    assert {name: rows[name][name] for name in ("int64", "uint64", "boolean")} == {
        "int64": -(2**63), "uint64": 2**64 - 1, "boolean": False,
    }  # fmt: skip
    assert [rows[name]["value"] for name in said] == [-(2.0**63), 2.0**64, 0.0, 23.4, None]
    assert rows["string"]["text"] == "5i"
    assert all(rows[name]["text"] is None for name in said if name != "string")


def test_d2_d3_charts_count_booleans_as_0_and_1_and_whole_numbers_as_numbers(store: Store) -> None:
    chain = Chain(store)
    for n in range(4):
        chain.send(
            [
                Sample(chain.asset.id, "boolean", T + n, n == 3),
                Sample(chain.asset.id, "int64", T + n, n - 1),
                Sample(chain.asset.id, "uint64", T + n, n),
                Sample(chain.asset.id, "double", T + n, n / 2),
            ]
        )
    rows = store.buckets(chain.query("boolean", "double", "int64", "uint64"), 10).drop(["time"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("boolean", 0.0, 0.25, 1.0, 1.0, 4),
        ("double", 0.0, 0.75, 1.5, 1.5, 4),
        ("int64", -1.0, 0.5, 2.0, 2.0, 4),
        ("uint64", 0.0, 1.5, 3.0, 3.0, 4),
    ]


def test_d2_d3_what_was_stored_as_numbers_stays_beside_the_exact(store: Store) -> None:
    chain = Chain(store)
    head = f"cnc,site=s,area=a,line=l,asset={chain.asset.id}"
    # as an earlier gateway wrote them
    store.write(f"{head} boolean=1.0,int64=9007199254740992.0,double=1.5 {T}\n".encode())
    chain.send([Sample(chain.asset.id, "boolean", T + 1, True), Sample(chain.asset.id, "int64", T + 1, 2**53 + 1)])
    table = store.samples(chain.query(), 100)
    assert list(zip(table["signal"].to_pylist(), map(repr, values(table)), strict=True)) == [
        ("boolean", "1.0"), ("boolean", "True"), ("double", "1.5"),
        ("int64", "9007199254740992.0"), ("int64", "9007199254740993"),
    ]  # fmt: skip
    last = store.last([chain.asset.id])
    assert list(map(repr, values(last))) == ["True", "1.5", "9007199254740993"]
    [boolean, *_] = store.buckets(chain.query("boolean"), MINUTE).to_pylist()
    assert (boolean["count"], boolean["mean"]) == (2, 1.0)


@pytest.mark.parametrize("quality", ["32768", "-1", "2147484160", "1e300", "true"])
def test_e3_a_number_that_is_no_quality_spoils_no_neighbor(store: Store, quality: str) -> None:
    chain = Chain(store)
    head = f"cnc,site=s,area=a,line=l,asset={chain.asset.id}"
    if quality == "true" and type(store).__name__ == "InfluxStore":
        pytest.skip("InfluxDB says itself that it is of another type")
    store.write(f"{head} double=1,double.quality={quality},float=2 {T}\n".encode())
    table = store.samples(chain.query(), 100)
    assert list(zip(values(table), table["quality"].to_pylist(), strict=True)) == [
        (1.0, 1 if quality == "true" else 0),
        (2.0, 192),
    ]


def test_e7_a_status_needs_a_sample_of_its_own_time(store: Store) -> None:
    chain = Chain(store)
    head = f"cnc,site=s,area=a,line=l,asset={chain.asset.id}"
    store.write(f"{head} double=1,double.quality=64,double.status=1083310080 {T}\n{head} double=2 {T + 1}\n".encode())
    table = store.samples(chain.query(), 100)
    assert table["status"].to_pylist() == [0x40920000, None]
    assert store.last([chain.asset.id])["status"].to_pylist() == [None]


def test_e9_a_store_says_what_it_has(store: Store) -> None:
    chain = Chain(store)
    chain.send([Sample(chain.asset.id, name, T, value) for name, value in (("boolean", True), ("string", "a"))])
    head = f"cnc,site=s,area=a,line=l,asset={chain.asset.id}"
    store.write(f"{head} double.quality=0 {T}\n{head} pump.status=5 {T}\n".encode())
    assert store.series([chain.asset.id]) == [
        Stored(chain.asset.id, name, "cnc", "s", "a", "l") for name in ("boolean", "double", "pump.status", "string")
    ]
    assert [row.asset for row in store.series(["other"])] == []
    assert set(store.series([chain.asset.id])) <= set(store.series())


def test_d4_the_float_next_to_23_4_is_23_4(store: Store) -> None:
    chain = Chain(store)
    (single,) = struct.unpack("<f", struct.pack("<f", 23.4))
    chain.send([Sample(chain.asset.id, "float", T, single)])
    assert values(store.samples(chain.query(), 10)) == [23.4]


def test_d2_d3_minutes_have_booleans_and_whole_numbers_as_numbers(keep: Callable[..., Kept]) -> None:
    noon = T // (1440 * MINUTE) * 1440 * MINUTE + 720 * MINUTE
    kept = keep(2, noon)
    head = "site=s,area=a,line=l,asset=m"
    kept.store.write(
        "".join(
            f"cnc_bool,{head} door={'true' if n else 'false'},door.quality=64.0 {noon + n}\n"
            f"cnc_int,{head} parts={n + 1}i,parts.status=5.0 {noon + n}\ncnc_uint,{head} ticks={n + 3}u {noon + n}\n"
            f"cnc,{head} speed={n + 0.5} {noon + n}\n"
            for n in range(2)
        ).encode()
    )
    query = Query("m", ("door", "parts", "speed", "ticks"), noon, noon + MINUTE)
    kept.clock.ns += 5 * 1440 * MINUTE
    kept.maintain()
    batches = [batch.drop_columns(["time"]) for batch in kept.store.minutes(query)]
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    assert rows == [
        ("door", 0.0, 0.5, 1.0, 1.0, 2, None),
        ("parts", 1.0, 1.5, 2.0, 2.0, 2, None),
        ("speed", 0.5, 1.0, 1.5, 1.5, 2, None),
        ("ticks", 3.0, 3.5, 4.0, 4.0, 2, None),
    ]
    assert kept.store.buckets(query, MINUTE)["mean"].to_pylist() == [0.5, 1.5, 1.0, 3.5]
    # minutes alone say of a series that it is there, too
    assert [series.signal for series in kept.store.series(["m"])] == ["door", "parts", "speed", "ticks"]


def test_d2_d3_the_dashboards_queries_take_all_types(influxdb: str, influxdb_bucket: tuple[str, str]) -> None:
    token, bucket = influxdb_bucket
    headers = {"Authorization": f"Token {token}"}
    head = "site=s,area=a,line=l,asset=m"
    lines = "".join(
        f"cnc,{head} speed={n}.5,speed.status=5 {T + n}\ncnc_bool,{head} door=true {T + n}\n"
        f'cnc_int,{head} parts={n}i {T + n}\ncnc_text,{head} program="x" {T + n}\n'
        for n in range(3)
    )
    address = f"{influxdb}/api/v2/write?org={ORG}&bucket={bucket}"
    httpx2.post(address, headers=headers, content=lines).raise_for_status()
    times = f"timeRangeStart: {format_time(T - MINUTE)}, timeRangeStop: {format_time(T + MINUTE)}, windowPeriod: 1m"
    option = f'option v = {{defaultBucket: "{bucket}", {times}}}\n'
    dashboard = json.loads(Path("deploy/grafana/dashboards/machine.json").read_text())
    queries = [target["query"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    for query in queries:
        answer = httpx2.post(
            f"{influxdb}/api/v2/query?org={ORG}",
            headers={**headers, "Content-Type": "application/vnd.flux"},
            content=option + query.replace("${asset}", "m"),
        )
        assert answer.status_code == 200, answer.text
        assert "error" not in answer.text
        if "_field" in query:
            assert {name for name in ("door", "parts", "speed", "program") if name in answer.text} in (
                set(), {"door", "parts", "speed"},
            )  # fmt: skip
