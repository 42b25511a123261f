"""Write, last, history and export, as a gateway and a program use them."""

from __future__ import annotations

import csv
import gzip
import io
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from cloud.app import create_app
from cloud.parts import Parts, build_parts, close_parts
from cloud.settings import Settings
from cloud.telemetry import routes
from cloud.telemetry.models import History, LastColumns

T = 1_795_420_800_000_000_000  # 2026-11-23T08:00:00Z
S = 1_000_000_000
HEAD = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
Write = Callable[[str], None]


def ask(client: TestClient, what: str, **parameters: object) -> object:
    answer = client.get(f"/api/v1/telemetry/{what}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_last_values_have_unit_quality_time_and_age(viewer: TestClient, write: Write) -> None:
    now_ns = time.time_ns()
    write(
        f'{HEAD} spindle_speed=1200.5,feed.quality=0 {now_ns}\n{HEAD.replace("cnc,", "cnc_text,")} program="O1" {T}\n'
    )
    last = LastColumns.model_validate(ask(viewer, "last", asset="cnc-01"))
    assert last.signal == ["feed", "program", "spindle_speed"]
    assert last.value == [None, "O1", 1200.5]
    assert last.unit == ["mm/min", "", "rpm"]
    assert last.quality == [0, 192, 192]
    assert last.time[1] == "2026-11-23T08:00:00.000000000Z"
    assert 0 <= last.age_s[2] < 60
    assert ask(viewer, "last", asset="other") == {name: [] for name in LastColumns.model_fields if name != "status"}


def test_f11_what_an_asset_said_that_is_offline_is_stale(viewer: TestClient, parts: Parts, write: Write) -> None:
    write(f"{HEAD} spindle_speed=1,feed.quality=0 {T}\n")
    now_ms = time.time_ns() // 1_000_000
    # values alone do not say that it lives, nor does it that it lived an hour ago
    for online, seen_ms, quality in (
        (None, 1, [500, 500]),
        (False, 1, [500, 500]),
        (True, now_ms - 3_600_000, [500, 500]),
        (True, now_ms, [0, 192]),
    ):
        parts.hub.update("cnc-01", online=online, seen_ms=seen_ms)
        parts.hub.update("cnc-02", online=False)
        assert LastColumns.model_validate(ask(viewer, "last")).quality == quality


def test_a_machine_whose_clock_is_ahead_has_a_negative_age(viewer: TestClient, write: Write) -> None:
    write(f"{HEAD} feed=1 {time.time_ns() + 100 * S}\n")
    assert -101 < LastColumns.model_validate(ask(viewer, "last")).age_s[0] < -90


def test_raw_history(viewer: TestClient, write: Write) -> None:
    write("".join(f"{HEAD} feed={n} {T + n}\n" for n in range(3)))
    history = History.model_validate(
        ask(
            viewer, "history", asset="cnc-01", signal="feed", start="2026-11-23T08:00:00Z", end="2026-11-23T09:00+00:00"
        )
    )
    (series,) = history.series
    assert (series.kind, series.unit, history.bucket_s) == ("raw", "mm/min", None)
    assert series.time == [f"2026-11-23T08:00:00.00000000{n}Z" for n in range(3)]
    assert series.value == [0, 1, 2]


def test_history_in_buckets_keeps_texts_raw_and_the_order_asked_for(viewer: TestClient, write: Write) -> None:
    write("".join(f"{HEAD} spindle_speed={n},feed={n} {T + n * S}\n" for n in range(60)))
    write(f'{HEAD.replace("cnc,", "cnc_text,")} program="O1" {T}\n')
    history = History.model_validate(
        ask(
            viewer, "history", asset="cnc-01", signal=["spindle_speed", "program", "feed"], points=2,
            start="2026-11-23T08:00:00Z", end="2026-11-23T08:01:00Z",
        )
    )  # fmt: skip
    assert history.bucket_s == 30
    assert [(series.signal, series.kind) for series in history.series] == [
        ("spindle_speed", "buckets"), ("program", "raw"), ("feed", "buckets"),
    ]  # fmt: skip
    speed = history.series[0]
    assert speed.kind == "buckets"
    assert (speed.min, speed.mean, speed.max, speed.last) == ([0, 30], [14.5, 44.5], [29, 59], [29, 59])
    assert speed.count == [30, 30]


@pytest.mark.parametrize("points", [None, 10])
def test_arrow_has_the_same_columns(viewer: TestClient, write: Write, points: int | None) -> None:
    write("".join(f"{HEAD} feed={n} {T + n}\n" for n in range(100)))
    parameters = {"asset": "cnc-01", "signal": "feed", "start": "2026-11-23T08:00Z", "end": "2026-11-23T09:00Z"}
    parameters |= {"format": "arrow"} | ({} if points is None else {"points": str(points)})
    answer = viewer.get("/api/v1/telemetry/history", params=parameters)
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.schema.names[:3] == ["signal", "time", "value" if points is None else "min"]
    assert len(table) == (100 if points is None else 1)


@pytest.mark.parametrize(
    ("parameters", "status", "says"),
    [
        ({"asset": "cnc-99", "signal": "feed"}, 404, "no asset 'cnc-99'"),
        ({"asset": "cnc-01", "signal": "fed"}, 404, "no signal 'fed'"),
        ({"asset": "cnc-01"}, 422, "query.signal"),
        ({"asset": "cnc-01", "signal": ["feed"] * 51}, 422, "query.signal"),
        ({"asset": "cnc-01", "signal": "feed", "start": "yesterdy"}, 422, "'yesterdy' is not a time"),
        ({"asset": "cnc-01", "signal": "feed", "start": "now", "end": "-1h"}, 422, "not before"),
        ({"asset": "cnc-01", "signal": "feed", "points": 0}, 422, "query.points"),
        ({"asset": "cnc-01", "signal": "feed", "points": 10_001}, 422, "query.points"),
    ],
)
def test_a_wrong_query_is_told_what_and_where(
    viewer: TestClient, parameters: dict[str, str], status: int, says: str
) -> None:
    answer = viewer.get("/api/v1/telemetry/history", params=parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]
    assert answer.json()["todo"]


def test_too_many_rows_are_refused_with_what_to_do(viewer: TestClient, write: Write) -> None:
    for start in range(0, routes.MAX_JSON_ROWS + 1, 50_000):
        write("".join(f"{HEAD} feed=1 {T + n}\n" for n in range(start, start + 50_000)))
    parameters = {"asset": "cnc-01", "signal": "feed", "start": "2026-11-23T08:00Z", "end": "2026-11-23T09:00Z"}
    answer = viewer.get("/api/v1/telemetry/history", params=parameters)
    assert answer.status_code == 413
    assert "`points`" in answer.json()["todo"]
    assert viewer.get("/api/v1/telemetry/history", params=parameters | {"points": "10"}).status_code == 200


M = 60 * S


@pytest.fixture
def old(write: Write, client: TestClient, parts: Parts) -> None:
    """Twenty minutes with a sample each 10 s and a text each minute, of which ten are kept as minutes alone."""
    write("".join(f"{HEAD} feed={n} {T + n * 10 * S}\n" for n in range(120)))
    write("".join(f'{HEAD.replace("cnc,", "cnc_text,")} program="O{n}" {T + n * M + S}\n' for n in range(20)))
    assert post(client, parts, f"raw_since raw_since=1 {T + 10 * M}\n".encode(), MINUTES) == (204, {})


MINUTES = "/api/v2/write?bucket=shopfloor_1m"
FEED = {"asset": "cnc-01", "signal": ["feed", "program"]}


@pytest.mark.usefixtures("old")
def test_buckets_of_minutes_are_whole_minutes_and_said(viewer: TestClient) -> None:
    times = {"start": "2026-11-23T08:00:30Z", "end": "2026-11-23T08:19:30Z"}
    history = History.model_validate(ask(viewer, "history", **FEED, **times, points=1000))
    assert (history.resolution, history.raw_since) == ("mixed", "2026-11-23T08:10:00.000000000Z")
    assert (history.start[11:19], history.end[11:19], history.bucket_s) == ("08:00:00", "08:20:00", 60)
    feed, program = history.series
    assert feed.kind == "buckets"
    assert feed.count == [6] * 20
    assert feed.mean == [n * 6 + 2.5 for n in range(20)]
    assert program.kind == "raw"
    assert program.value == [f"O{n}" for n in range(20)]
    assert [time[11:19] for time in program.time[8:12]] == ["08:08:00", "08:09:00", "08:10:01", "08:11:01"]
    assert set(program.quality) == {192}
    # what has samples alone has buckets of any width
    history = History.model_validate(
        ask(viewer, "history", **FEED, start="2026-11-23T08:10Z", end=times["end"], points=57)
    )
    assert (history.resolution, history.raw_since, history.bucket_s) == ("raw", None, 10)


@pytest.mark.usefixtures("old")
def test_samples_that_have_gone_are_said(viewer: TestClient) -> None:
    times = {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T08:10:00Z"}
    history = History.model_validate(ask(viewer, "history", **FEED, **times))
    assert (history.resolution, history.raw_since) == ("minute", "2026-11-23T08:10:00.000000000Z")
    assert [len(series.time) for series in history.series] == [0, 0]
    answer = viewer.get("/api/v1/telemetry/history", params={**FEED, **times, "format": "arrow"})
    assert pa.ipc.open_stream(answer.content).schema.metadata[b"resolution"] == b"minute"
    assert ask(viewer, "retention") == {"raw_days": 0, "minute_days": 365, "raw_since": history.raw_since}


@pytest.mark.usefixtures("old")
def test_an_export_is_of_samples_or_of_minutes(viewer: TestClient) -> None:
    parameters = {**FEED, "start": "2026-01-01", "end": "2027-01-01"}
    answer = viewer.get("/api/v1/telemetry/export", params=parameters)
    assert len(answer.text.splitlines()) == 1 + 60 + 10
    assert answer.headers["raw-since"] == "2026-11-23T08:10:00.000000000Z"
    answer = viewer.get("/api/v1/telemetry/export", params=parameters | {"resolution": "minute"})
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[:2] == [
        ["asset", "signal", "time", "min", "mean", "max", "last", "count"],
        ["cnc-01", "feed", "2026-11-23T08:00:00.000000000Z", "0.0", "2.5", "5.0", "5.0", "6"],
    ]
    assert rows[-1] == ["cnc-01", "program", "2026-11-23T08:09:00.000000000Z", "", "", "", "O9", "1"]
    assert len(rows) == 1 + 20


def test_minutes_where_there_are_samples_are_refused(client: TestClient, parts: Parts) -> None:
    status, problem = post(client, parts, f"cnc,asset=a,aggregate=min x=1 {T}\n".encode(), MINUTES)
    assert (status, problem["line"]) == (400, 1)
    assert "there are samples of that minute" in problem["message"]


def test_csv_is_safe_to_open_in_a_spreadsheet(viewer: TestClient, write: Write) -> None:
    text = HEAD.replace("cnc,", "cnc_text,")
    write(f'{text} program="=HYPERLINK(\\"http://x\\")" {T}\n{text} program="a,\\"b\\"" {T + 1}\n')
    write(f"{HEAD} feed=-1.5,spindle_speed.quality=0 {T}\n")
    parameters = {
        "asset": "cnc-01",
        "signal": ["program", "feed", "spindle_speed"],
        "start": "2026-01-01",
        "end": "2027-01-01",
    }
    answer = viewer.get("/api/v1/telemetry/export", params=parameters)
    assert answer.headers["content-disposition"] == 'attachment; filename="cnc-01_2026-01-01T000000Z.csv"'
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["asset", "signal", "time", "value", "quality", "status"],
        ["cnc-01", "feed", "2026-11-23T08:00:00.000000000Z", "-1.5", "192", ""],
        ["cnc-01", "program", "2026-11-23T08:00:00.000000000Z", '\'=HYPERLINK("http://x")', "192", ""],
        ["cnc-01", "program", "2026-11-23T08:00:00.000000001Z", 'a,"b"', "192", ""],
        ["cnc-01", "spindle_speed", "2026-11-23T08:00:00.000000000Z", "", "0", ""],
    ]


def test_parquet_has_all_samples(viewer: TestClient, write: Write) -> None:
    for start in (0, 60_000):
        write("".join(f"{HEAD} feed={n} {T + n}\n" for n in range(start, start + 60_000)))
    parameters = {"asset": "cnc-01", "signal": "feed", "start": "2026-01-01", "end": "2027-01-01", "format": "parquet"}
    answer = viewer.get("/api/v1/telemetry/export", params=parameters)
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.column_names == [
        "asset", "signal", "time", "value", "text", "quality", "boolean", "int64", "uint64", "status",
    ]  # fmt: skip
    assert table["value"].to_pylist() == [float(n) for n in range(120_000)]


TYPED = {
    "door": ("bool", "true"),
    "parts": ("int", "-9007199254740993i"),
    "ticks": ("uint", "18446744073709551615u"),
}


def write_typed(write: Write) -> None:
    """Write a value of each type, of signals that nobody announces, and one with a status."""
    for signal, (kind, value) in TYPED.items():
        write(f"{HEAD.replace('cnc,', f'cnc_{kind},')} {signal}={value} {T}\n")
    write(f"{HEAD} feed=23.4,feed.quality=64,feed.status=1083310080 {T}\n")


ALL = {"asset": "cnc-01", "signal": [*TYPED, "feed"], "start": "2026-01-01", "end": "2027-01-01"}


def test_d2_d3_d4_e7_values_have_their_type_in_json(viewer: TestClient, write: Write) -> None:
    write_typed(write)
    wanted = {"door": True, "feed": 23.4, "parts": -9007199254740993, "ticks": 2**64 - 1}
    last = LastColumns.model_validate(ask(viewer, "last", asset="cnc-01"))
    assert list(map(repr, last.value)) == list(map(repr, wanted.values()))
    assert (last.quality, last.status) == ([192, 64, 192, 192], [None, 0x40920000, None, None])
    history = History.model_validate(ask(viewer, "history", **ALL))
    assert {series.signal: series.value for series in history.series} == {name: [v] for name, v in wanted.items()}  # type: ignore[union-attr]
    assert [series.status for series in history.series] == [None, None, None, [0x40920000]]  # type: ignore[union-attr]
    for what, parameters in (("last", {"asset": "cnc-01"}), ("history", ALL)):
        answer = viewer.get(f"/api/v1/telemetry/{what}", params={**parameters, "integers": "text"}).text
        assert '"-9007199254740993"' in answer
        assert '"18446744073709551615"' in answer
        assert "true" in answer


def test_d2_d3_files_have_the_types(viewer: TestClient, write: Write) -> None:
    write_typed(write)
    rows = list(csv.reader(io.StringIO(viewer.get("/api/v1/telemetry/export", params=ALL).text)))
    assert {row[1]: row[3:] for row in rows[1:]} == {
        "door": ["true", "192", ""],
        "feed": ["23.4", "64", "1083310080"],
        "parts": ["-9007199254740993", "192", ""],
        "ticks": ["18446744073709551615", "192", ""],
    }
    parquet = viewer.get("/api/v1/telemetry/export", params={**ALL, "format": "parquet"}).content
    arrow = viewer.get("/api/v1/telemetry/history", params={**ALL, "format": "arrow"}).content
    for table in (pq.read_table(io.BytesIO(parquet)), pa.ipc.open_stream(arrow).read_all()):
        said = {row["signal"]: row for row in table.drop_columns(["time"]).to_pylist()}
        assert (said["door"]["boolean"], said["parts"]["int64"]) == (True, -9007199254740993)
        assert (said["ticks"]["uint64"], said["feed"]["value"], said["feed"]["status"]) == (2**64 - 1, 23.4, 0x40920000)


def test_e9_what_is_stored_is_found_though_nobody_announces_it(viewer: TestClient, write: Write) -> None:
    write_typed(write)
    write(f'{HEAD.replace("cnc,", "cnc_text,").replace("cnc-01", "gone-1")} note="a" {T}\n')
    series = ask(viewer, "series", asset="cnc-01")
    assert isinstance(series, dict)
    assert dict(zip(series["signal"], series["announced"], strict=True)) == {
        "door": False, "feed": True, "parts": False, "ticks": False,
    }  # fmt: skip
    window = {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:00:00Z"}
    history = History.model_validate(ask(viewer, "history", asset="gone-1", signal="note", **window))
    assert history.series[0].value == ["a"]  # type: ignore[union-attr]
    both = History.model_validate(ask(viewer, "history", asset="cnc-01", signal=["door"], points=4, **window))
    assert (both.series[0].kind, both.series[0].mean) == ("buckets", [1.0])  # type: ignore[union-attr]
    texts = History.model_validate(ask(viewer, "history", asset="gone-1", signal="note", points=4, **window))
    assert texts.series[0].kind == "raw"
    for signal in ("never", "note"):
        assert viewer.get("/api/v1/telemetry/history", params={"asset": "cnc-01", "signal": signal}).status_code == 404


def test_an_export_gives_its_place_back(viewer: TestClient, parts: Parts) -> None:
    for _ in range(10):
        answer = viewer.get("/api/v1/telemetry/export", params={"asset": "cnc-01", "signal": "feed"})
        assert answer.text == "asset,signal,time,value,quality,status\r\n"


def post(
    client: TestClient, parts: Parts, body: bytes, address: str = "/api/v2/write", **headers: str
) -> tuple[int, dict]:
    sent = headers if "Authorization" in headers else {"Authorization": f"Token {parts.store_token}", **headers}
    answer = client.post(address, content=body, headers=sent)
    return answer.status_code, answer.json() if answer.content else {}


GZIP = {"Content-Encoding": "gzip"}


def test_a_write_is_durable_or_says_why_not(client: TestClient, parts: Parts, viewer: TestClient) -> None:
    good = f"{HEAD} feed=1 {T}\n".encode()
    assert post(client, parts, good)[0] == 204
    assert (
        post(client, parts, gzip.compress(good), "/api/v2/write?org=shopfloor&bucket=shopfloor&precision=ns", **GZIP)[0]
        == 204
    )
    assert post(client, parts, b"")[0] == 204
    status, problem = post(client, parts, good + b"cnc,asset=a feed=x 1\n")
    assert (status, problem["code"], problem["line"]) == (400, "invalid", 2)
    assert post(client, parts, f"{HEAD} feed=1\n".encode())[0] == 400
    assert post(client, parts, f"cnc feed=1 {T}\n".encode())[1]["line"] == 1
    assert post(client, parts, good, "/api/v2/write?bucket=other")[0] == 404
    assert post(client, parts, good, "/api/v2/write?precision=s")[0] == 422
    assert post(client, parts, good, **{"Content-Encoding": "br"})[0] == 415
    assert post(client, parts, b"no gzip", **GZIP)[0] == 400
    assert post(client, parts, gzip.compress(good)[:-4], **GZIP)[0] == 400
    assert post(client, parts, gzip.compress(bytes(65 << 20)), **GZIP)[0] == 413
    too_long = client.post(
        "/api/v2/write", content=bytes(17 << 20), headers={"Authorization": f"Token {parts.store_token}"}
    )
    assert too_long.status_code == 413
    assert too_long.headers["content-type"] == "application/problem+json"
    assert too_long.headers["x-content-type-options"] == "nosniff"
    assert (too_long.json()["status"], too_long.json()["todo"]) == (413, "send less at once")
    assert LastColumns.model_validate(ask(viewer, "last")).value == [1]


def test_a_new_store_token_counts_at_once(client: TestClient, parts: Parts) -> None:
    file = parts.settings.store_token_file
    assert file is not None
    before = file.read_text().strip()
    file.write_text("another token of this test")
    assert post(client, parts, f"{HEAD} feed=1 {T}\n".encode())[0] == 204
    assert post(client, parts, b"", Authorization=f"Token {before}")[0] == 401
    file.unlink()
    status, problem = post(client, parts, b"", Authorization=f"Token {before}")
    assert (status, problem["detail"]) == (503, "the store token cannot be read")


def test_a_store_that_is_gone_answers_503_and_health_says_so(client: TestClient, parts: Parts) -> None:
    parts.store.close()
    status, problem = post(client, parts, f"{HEAD} feed=1 {T}\n".encode())
    assert (status, problem["code"]) == (503, "unavailable")
    assert problem["todo"]
    health = client.get("/api/v1/health")
    assert (health.status_code, health.json()["detail"]) == (503, "the store cannot open its files")
    assert health.json()["todo"]
    assert str(parts.settings.home) not in health.text


def test_health_says_that_the_store_refuses_the_cloud(settings: Settings, influxdb: str) -> None:
    parts = build_parts(settings.model_copy(update={"telemetry": influxdb}))
    health = TestClient(create_app(parts.settings, parts)).get("/api/v1/health")
    close_parts(parts)
    assert (health.status_code, health.json()["detail"]) == (503, "this cloud has no token that InfluxDB takes")
    assert "SHOPFLOOR_STORE_TOKEN_FILE" in health.json()["todo"]
    assert influxdb not in health.text
