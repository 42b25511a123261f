"""A backup of a running cloud, restored into a new one: equal answers, whatever the databases are."""

from __future__ import annotations

import json
import stat
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from starlette.testclient import TestClient

from cloud import db
from cloud.__main__ import Server, listen
from cloud.app import create_app
from cloud.diagnosis import diagnosis, findings, learning
from cloud.ledger.keep import keep
from cloud.parts import Parts, build_parts, close_parts
from cloud.settings import Settings
from cloud.telemetry import minute_lines
from cloud.telemetry.rollup import minutes_bucket
from contract.lineprotocol import encode
from contract.loss import SourceLedger
from shopfloor.__main__ import run as run_command
from tests.cloud.chain import bring
from tests.cloud.diagnosis.mill import mill
from tests.cloud.diagnosis.said import COMPUTED, report, suspicion

T = 1_795_420_800_000_000_000
TAGS = "site=shanghai,area=machining,line=line1,asset=cnc-01"
LINES = [
    *(f"cnc,{TAGS} spindle_speed={1000 + i / 7!r},feed={i} {T + i * 250_000_001}" for i in range(500)),
    f'cnc_text,{TAGS} program="O1000 \\"a\\\\b\\"" {T + 3}',
    f"cnc,{TAGS} spindle_speed.quality=0 {T + 999}",
    f"cnc,{TAGS} feed=7.25,feed.quality=64,feed.status=1083310080 {T + 1001}",
    # that nobody announces (any more), of every type
    *(f"cnc_bool,{TAGS} door={'true' if i % 2 else 'false'} {T + i}" for i in range(4)),
    f"cnc_bool,{TAGS} door=true,door.quality=704.0 {T + 9}",
    *(f"cnc_int,{TAGS} parts={2**53 + i}i {T + i}" for i in range(4)),
    *(f"cnc_uint,{TAGS} ticks={i}u {T + i % 7}" for i in (0, 2**53 + 1, 2**64 - 1)),
    f"cnc,{TAGS.replace('cnc-01', 'cnc-09')} speed=1.5 {T}",
    f"press_bool,{TAGS.replace('cnc-01', 'press-7')} closed=true {T}",
]
OLD = T - 2 * 86_400 * 10**9
OLD_LINES = [
    *(f"cnc,{TAGS} feed={i} {OLD + i * 20 * 10**9}" for i in range(90)),
    *(f'cnc_text,{TAGS} program="O{i}" {OLD + i * 15 * 10**9 + 1}' for i in range(120)),
]
QUESTIONS = (
    "assets",
    "assets/cnc-01",
    "telemetry/history?asset=cnc-01&signal=spindle_speed&signal=feed&signal=program&start={t}&end=2026-11-24T00:00:00Z",
    "telemetry/history?asset=cnc-01&signal=feed&start={t}&end=2026-11-24T00:00:00Z&points=20",
    "telemetry/export?asset=cnc-01&signal=spindle_speed&signal=program&start={t}&end=2026-11-24T00:00:00Z&format=csv",
    "telemetry/history?asset=cnc-01&signal=feed&signal=program&start={t}&end=2026-11-21T09:00:00Z&points=3000",
    "telemetry/export?asset=cnc-01&signal=feed&signal=program&start={t}&end=2026-11-24T00:00:00Z&resolution=minute",
    "telemetry/series",
    "telemetry/history?asset=cnc-01&signal=door&signal=parts&signal=ticks&start={t}&end=2026-11-24T00:00:00Z",
    "telemetry/export?asset=cnc-09&signal=speed&start={t}&end=2026-11-24T00:00:00Z&format=csv",
    "telemetry/history?asset=press-7&signal=closed&start={t}&end=2026-11-24T00:00:00Z",
    "telemetry/last",
    "ledger",
)
COUNTS = {"produced": 12, "received": 10, "stored": 10, "repeated": 0, "refused": 0, "quarantined": 0, "waiting": 2}
LEDGER = SourceLedger(
    source="demo:shanghai:machining/line1", time=T // 10**6, acknowledges=True, lost=0, unexplained=0, **COUNTS
)
MINUTES_ASKED = 5
CHANGING = {"age_s", "online", "state"}


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run a cloud of its own; give its address."""
    parts = build_parts(settings)
    try:
        with listen("127.0.0.1", 0) as listening:
            config = uvicorn.Config(
                create_app(settings, parts), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
            )
            server = Server(config, parts)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
            thread.join(5)
    finally:
        close_parts(parts)


Shopfloor = Callable[..., SimpleNamespace]


@pytest.fixture
def shopfloor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shopfloor:
    """Run the command line for a plant; return its `returncode` and what it wrote to `stderr`."""

    def run(settings: Settings, address: str, *arguments: str) -> SimpleNamespace:
        with monkeypatch.context() as patch:
            patch.setenv("SHOPFLOOR_HOME", str(settings.home))
            patch.setenv("SHOPFLOOR_API_URL", address)
            patch.setenv("SHOPFLOOR_DATABASE_URL", settings.database_url)
            patch.setenv("SHOPFLOOR_TELEMETRY", settings.telemetry)
            patch.setenv("SHOPFLOOR_STORE_TOKEN_FILE", str(settings.store_token_file))
            patch.setenv("SHOPFLOOR_STORE_BUCKET", settings.store_bucket)
            patch.setattr(sys, "argv", ["shopfloor", *arguments])
            with pytest.raises(SystemExit) as ended:
                run_command()
        return SimpleNamespace(returncode=ended.value.code or 0, stderr=capsys.readouterr().err)

    return run


def answers(settings: Settings, address: str) -> list[Any]:
    token = (settings.home / "secrets" / "cli-token").read_text().strip()
    header = {"Authorization": f"Bearer {token}"}
    said = []
    for question in QUESTIONS:
        answer = httpx2.get(f"{address}/api/v1/{question.format(t='2026-11-20T00:00:00Z')}", headers=header)
        assert answer.status_code == 200, answer.text
        said.append(answer.text if "export" in question else _lasting(json.loads(answer.content)))
    return said


def _lasting(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: _lasting(value) for name, value in answer.items() if name not in CHANGING}
    return [_lasting(each) for each in answer] if isinstance(answer, list) else answer


@pytest.fixture(params=["duckdb", "influxdb"])
def new_plant(request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a new plant with the other kind of relational database, and each kind of store."""
    home = tmp_path_factory.mktemp("new")
    (home / "secrets").mkdir()
    url = "" if settings.database_url else request.getfixturevalue("postgresql")()
    if request.param == "influxdb":
        token, bucket = request.getfixturevalue("influxdb_bucket")
        changes = {"telemetry": request.getfixturevalue("influxdb"), "store_bucket": bucket}
    else:
        token, changes = "store-token-of-the-new-plant", {}
    (home / "secrets" / "store-token").write_text(token)
    (home / "secrets" / "cli-token").write_text("cli-token-of-the-new-plant")
    files = {"store_token_file": home / "secrets" / "store-token", "cli_token_file": home / "secrets" / "cli-token"}
    return Settings(
        home=home, port=8080, raw_days=0, minute_days=0, database_url=url, console=home / "dist", **files, **changes
    )


def test_a_new_plant_answers_as_the_old_one_did(
    settings: Settings,
    new_plant: Settings,
    address: str,
    admin: TestClient,
    client: TestClient,
    parts: Parts,
    write: Callable[[str], None],
    tmp_path: Path,
    shopfloor: Shopfloor,
) -> None:
    write("\n".join(OLD_LINES))
    token = (settings.home / "secrets" / "store-token").read_text().strip()
    minutes = f"/api/v2/write?bucket={minutes_bucket(settings.store_bucket)}"
    since = encode([minute_lines.since(T - 86_400 * 10**9)])
    assert client.post(minutes, content=since, headers={"Authorization": f"Token {token}"}).status_code == 204
    write("\n".join(LINES))
    body = {"username": "li.wei", "role": "operator", "password": "a password of Li Wei"}
    assert admin.post("/api/v1/users", json=body).is_success
    with parts.sessions.begin() as session:
        keep(session, LEDGER)
    token = admin.post("/api/v1/tokens", json={"name": "grafana", "role": "viewer"}).json()["token"]
    assert httpx2.get(f"{address}/api/v1/assets", headers={"Authorization": f"Bearer {token}"}).is_success
    before = answers(settings, address)
    minutes_of = before[MINUTES_ASKED]
    assert minutes_of["resolution"] == "minute"
    assert [len(series["time"]) for series in minutes_of["series"]] == [30, 30]
    door, parts, ticks = before[-5]["series"]
    assert (door["value"], door["quality"][-1]) == ([False, True, False, True, True], 704)
    assert parts["value"] == [2**53 + n for n in range(4)]
    assert sorted(ticks["value"]) == [0, 2**53 + 1, 2**64 - 1]
    file = tmp_path / "plant.backup"
    done = shopfloor(settings, address, "backup", str(file))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = done.stderr.splitlines()[-1]
    with serving(new_plant) as new_address:
        done = shopfloor(new_plant, new_address, "restore", str(file))
        assert done.returncode == 0, done.stderr
        assert said.replace("backed up", "restored") in done.stderr.splitlines()
        assert "login links (also printed ones) and API tokens of this plant have ended" in done.stderr
        assert "no admin has a password yet: `shopfloor login --user admin" in done.stderr
    # started anew: what InfluxDB says of minutes is asked for again after a minute only
    with serving(new_plant) as new_address:
        assert answers(new_plant, new_address) == before
        login = {"username": "li.wei", "password": "a password of Li Wei"}
        assert httpx2.post(f"{new_address}/api/v1/auth/login", json=login).status_code == 200
        again = shopfloor(new_plant, new_address, "restore", str(file))
        assert again.returncode == 4
        assert "--force" in again.stderr
        assert shopfloor(new_plant, new_address, "restore", "--force", str(file)).returncode == 0
        assert answers(new_plant, new_address) == before
        ended = httpx2.get(f"{new_address}/api/v1/assets", headers={"Authorization": f"Bearer {token}"})
        assert ended.status_code == 401
        # numbers that the database gives go on behind the restored ones
        token = (new_plant.home / "secrets" / "cli-token").read_text()
        assert httpx2.get(f"{new_address}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).is_success
    engine = db.connect(new_plant.sql_url)
    with engine.begin() as connection:
        users = db.Base.metadata.tables["users"]
        made = connection.execute(users.insert().returning(users.c.id), [{**_user("next"), "created": _now()}])
        assert made.scalar_one() > 1
    engine.dispose()


def _user(name: str) -> dict[str, Any]:
    return {"username": name, "role": "viewer", "password_hash": None, "disabled": False}


def _now() -> Any:
    return datetime.now(UTC)


@pytest.mark.parametrize("database_url", [""])
def test_samples_older_than_the_new_plant_keeps_them_become_minutes(
    settings: Settings,
    address: str,
    admin: TestClient,
    write: Callable[[str], None],
    tmp_path: Path,
    new_plant: Settings,
    shopfloor: Shopfloor,
) -> None:
    write("\n".join([*OLD_LINES, *LINES]))
    start, end = "2026-11-21T08:00:00Z", "2026-11-23T09:00:00Z"
    question = f"telemetry/history?asset=cnc-01&signal=feed&signal=program&start={start}&end={end}&points=98"
    before = _ask(settings, address, question)
    file = tmp_path / "plant.backup"
    assert shopfloor(settings, address, "backup", str(file)).returncode == 0
    keeping = new_plant.model_copy(update={"raw_days": 1})
    with serving(keeping) as new_address:
        done = shopfloor(keeping, new_address, "restore", str(file))
        assert done.returncode == 0, done.stderr
        after = _ask(keeping, new_address, question)
    assert (before["resolution"], after["resolution"]) == ("raw", "minute")
    assert after["series"][0] == before["series"][0]
    assert after["series"][1]["value"] == [f"O{i * 4 + 3}" for i in range(30)] + ['O1000 "a\\b"']


def _ask(settings: Settings, address: str, question: str) -> Any:
    token = (settings.home / "secrets" / "cli-token").read_text().strip()
    header = {"Authorization": f"Bearer {token}"}
    return httpx2.get(f"{address}/api/v1/{question}", headers=header).raise_for_status().json()


def test_findings_what_people_say_of_them_and_baselines_are_in_a_backup(
    settings: Settings,
    address: str,
    admin: TestClient,
    parts: Parts,
    tmp_path: Path,
    new_plant: Settings,
    shopfloor: Shopfloor,
) -> None:
    asked = ("diagnosis/findings", "diagnosis/statistics", "diagnosis/assets/cnc-01/baseline")
    baseline = diagnosis.learn(mill(2000, seed=1))
    with parts.sessions.begin() as session:
        findings.take(session, report(suspicion()).model_copy(update={"baseline": baseline.id}), COMPUTED)
        learning.keep(session, baseline, "", _now())
    (found,) = admin.get("/api/v1/diagnosis/findings").json()["findings"]
    said = {"verdict": "wrong", "text": "没有问题"}
    assert admin.post(f"/api/v1/diagnosis/findings/{found['id']}/feedback", json=said).is_success
    before = [_ask(settings, address, question) for question in asked]
    assert before[0]["findings"][0]["feedback"]["wrong"] == 1
    file = tmp_path / "plant.backup"
    assert shopfloor(settings, address, "backup", str(file)).returncode == 0
    with serving(new_plant) as new_address:
        done = shopfloor(new_plant, new_address, "restore", str(file))
        assert done.returncode == 0, done.stderr
        assert [_ask(new_plant, new_address, question) for question in asked] == before


def test_events_are_in_a_backup_and_blocks_are_not(
    settings: Settings,
    address: str,
    client: TestClient,
    admin: TestClient,
    tmp_path: Path,
    new_plant: Settings,
    shopfloor: Shopfloor,
) -> None:
    evidence = {"block": "b1", "start_ns": T, "end_ns": T}
    bring.bring(
        client,
        bring.event("door", 1, values={"n": 2**63, "text": "二"}, evidence=[evidence]),
        bring.condition("hot", 2, "active"),
        bring.block("b1", [1.0, 2.0]),
    )
    before = [_ask(settings, address, question) for question in ("events", "events?active=true")]
    assert [[each["id"] for each in page["events"]] for page in before] == [["hot", "door"], ["hot"]]
    file = tmp_path / "plant.backup"
    assert shopfloor(settings, address, "backup", str(file)).returncode == 0
    with serving(new_plant) as new_address:
        done = shopfloor(new_plant, new_address, "restore", str(file))
        assert done.returncode == 0, done.stderr
        assert [_ask(new_plant, new_address, question) for question in ("events", "events?active=true")] == before
        assert _ask(new_plant, new_address, "blocks")["blocks"] == []


@pytest.mark.parametrize("database_url", [""])
def test_a_restore_that_cannot_write_samples_leaves_users_and_assets(
    settings: Settings,
    address: str,
    admin: TestClient,
    write: Callable[[str], None],
    tmp_path: Path,
    shopfloor: Shopfloor,
) -> None:
    write("\n".join([*LINES, f"press_bool,{TAGS} closed=false 7"]))  # the clock of a machine that was never set
    file = tmp_path / "plant.backup"
    assert shopfloor(settings, address, "backup", str(file)).returncode == 0
    with tarfile.open(file) as tar:
        [samples] = [tar.extractfile(member) for member in tar if member.name == "samples/0.parquet"]
        assert samples is not None
        times = pq.read_table(samples, columns=["time"])["time"].cast(pa.int64()).to_pylist()
    assert 7 in times
    assert admin.post("/api/v1/users", json={"username": "li.wei", "role": "operator"}).is_success
    wrong = tmp_path / "wrong-token"
    wrong.write_text("a token that may not write")
    done = shopfloor(settings, address, "restore", str(file), "--store-token-file", str(wrong))
    assert done.returncode == 4, done.stderr
    assert "li.wei" in [user["username"] for user in admin.get("/api/v1/users").json()]


@pytest.mark.parametrize("database_url", [""])
def test_a_damaged_backup_is_refused_and_nothing_changes(
    settings: Settings,
    address: str,
    write: Callable[[str], None],
    tmp_path: Path,
    database_url: str,
    shopfloor: Shopfloor,
) -> None:
    write("\n".join(LINES))
    before = answers(settings, address)
    file = tmp_path / "damaged"
    for content in (b"", b"not a tar file at all"):
        file.write_bytes(content)
        done = shopfloor(settings, address, "restore", str(file))
        assert done.returncode == 2, done.stderr
        assert "not a whole backup" in done.stderr
    assert answers(settings, address) == before
