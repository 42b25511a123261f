"""What the store's one-shot makes of a new InfluxDB 2, and the gateway's write path into a second kind of server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from cloud.settings import Settings
from cloud.telemetry.influx_store import HEALTH_MS
from cloud.telemetry.opening import open_store
from cloud.telemetry.rollup import SINCE, horizon, last_task, minutes_bucket, minutes_task
from cloud.telemetry.store import Store, StoreRefuses
from cloud.telemetry.times import format_time
from gateway.store import HttpStore
from shopfloor.compose.influx import BUCKET, ORG, TOKEN, USER, Retention, Server, SetupError, set_up
from shopfloor.compose.provision import provide

START_S = 30.0
IDENTITIES = (
    *("ca", "broker", "uns", "gateway", "edge-machining", "edge-assembly", "cloud", "simulators", "machine"),
    *("postgres", "influxdb", "grafana"),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str], url: str, log: Path) -> Iterator[str]:
    """Run a server until it has answered, and to the end of the block."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            until = time.monotonic() + START_S
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()}")
                time.sleep(0.05)
            yield url
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health").is_success
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="module")
def program() -> str:
    found = shutil.which("influxd")
    if found is None:
        pytest.skip("no InfluxDB 2: put influxd on the PATH")
    return found


def influxd(program: str, folder: Path) -> AbstractContextManager[str]:
    """Run an InfluxDB 2 server with its files in a folder."""
    port = free_port()
    files = [f"--bolt-path={folder}/b.bolt", f"--sqlite-path={folder}/b.sqlite", f"--engine-path={folder}/engine"]
    command = [program, *files, f"--http-bind-address=127.0.0.1:{port}", "--reporting-disabled"]
    return serving(command, f"http://127.0.0.1:{port}", folder / "log")


@pytest.fixture(scope="module")
def influxdb(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an InfluxDB 2 server that nobody has set up."""
    with influxd(program, tmp_path_factory.mktemp("influxdb")) as url:
        yield url


def provided(root: Path) -> Path:
    """Make the volumes with secrets, as `provision` leaves them."""
    for name in IDENTITIES:
        (root / name).mkdir()
    provide(root, datetime.now(UTC))
    return root


@pytest.fixture(scope="module")
def secrets(influxdb: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volumes with secrets, after the first set-up."""
    root = provided(tmp_path_factory.mktemp("secrets"))
    set_up(influxdb, root, Retention(), time.time_ns())
    return root


@pytest.fixture
def admin(influxdb: str, secrets: Path) -> Iterator[Server]:
    server = Server(influxdb, (secrets / "influxdb" / "admin-token").read_text())
    yield server
    server.close()


def buckets(server: Server) -> dict[str, int]:
    """Return the days that each bucket keeps samples."""
    found = server.ask("GET", "buckets", orgID=server.org_id())["buckets"]
    return {
        each["name"]: sum(rule["everySeconds"] for rule in each["retentionRules"]) // 86_400
        for each in found
        if each["type"] == "user"
    }


def tokens(root: Path) -> dict[str, str]:
    return {name: (root / name / TOKEN).read_text() for name in ("gateway", "cloud", "grafana")}


def query(url: str, token: str, flux: str) -> httpx2.Response:
    return httpx2.post(
        f"{url}/api/v2/query?org={ORG}",
        content=flux,
        headers={"Authorization": f"Token {token}", "Content-Type": "application/vnd.flux", "Accept": "text/csv"},
    )


def test_raw_samples_and_minutes_have_their_retention_which_can_change(
    influxdb: str, secrets: Path, admin: Server
) -> None:
    assert buckets(admin) == {BUCKET: 30, minutes_bucket(BUCKET): 365}
    before = tokens(secrets)
    set_up(influxdb, secrets, Retention(raw_days=7, minute_days=0), time.time_ns())
    assert buckets(admin) == {BUCKET: 7, minutes_bucket(BUCKET): 0}
    assert raw_since(influxdb, secrets) == []
    set_up(influxdb, secrets, Retention(), time.time_ns())
    assert buckets(admin) == {BUCKET: 30, minutes_bucket(BUCKET): 365}
    assert tokens(secrets) == before


def raw_since(url: str, secrets: Path) -> list[str]:
    """Return since when there are samples, where the server was told."""
    flux = (
        f'from(bucket: "{minutes_bucket(BUCKET)}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{SINCE}")'
    )
    return [row["_time"] for row in _rows(query(url, tokens(secrets)["cloud"], flux).text)]


def test_when_samples_are_kept_longer_it_is_said_since_when_there_are_any(
    influxdb: str, secrets: Path, admin: Server
) -> None:
    now_ns = time.time_ns()
    set_up(influxdb, secrets, Retention(raw_days=3), now_ns)
    set_up(influxdb, secrets, Retention(raw_days=0), now_ns)
    assert raw_since(influxdb, secrets)[-1] == f"{format_time(horizon(now_ns, 3))[:19]}Z"
    names = {task["name"] for task in admin.ask("GET", "tasks", orgID=admin.org_id())["tasks"]}
    assert names == {minutes_bucket(BUCKET)}
    set_up(influxdb, secrets, Retention(), now_ns)


def test_a_sample_older_than_samples_are_kept_is_refused_and_quarantined(influxdb: str, secrets: Path) -> None:
    store = HttpStore(influxdb, org=ORG, bucket=BUCKET, token_file=secrets / "gateway" / TOKEN)
    answer = store.write(f"cnc,asset=old x=1 {time.time_ns() - 31 * 86_400 * 10**9}".encode())
    store.close()
    assert answer.outcome == "rejected"


def authorizations(server: Server, name: str = "") -> list[dict[str, Any]]:
    """Return what tokens the server has; of one name, or all."""
    found = server.ask("GET", "authorizations", orgID=server.org_id())["authorizations"]
    return [each for each in found if name in ("", each["description"])]


def test_a_second_set_up_changes_nothing(influxdb: str, secrets: Path, admin: Server) -> None:
    before = tokens(secrets), authorizations(admin), admin.ask("GET", "tasks", orgID=admin.org_id())["tasks"]
    set_up(influxdb, secrets, Retention(), time.time_ns())
    assert before == (
        tokens(secrets),
        authorizations(admin),
        admin.ask("GET", "tasks", orgID=admin.org_id())["tasks"],
    )


def lose(file: Path, admin: Server) -> None:
    file.unlink()


def cut_off(file: Path, admin: Server) -> None:
    file.write_text(file.read_text()[:20])


def damage(file: Path, admin: Server) -> None:
    file.write_bytes(b"\xff\x00\n\n")


def empty(file: Path, admin: Server) -> None:
    file.write_text("")


def mix_up(file: Path, admin: Server) -> None:
    file.write_text((file.parents[1] / "gateway" / TOKEN).read_text())


def revoke(file: Path, admin: Server) -> None:
    (ours,) = authorizations(admin, "cloud")
    admin.ask("DELETE", f"authorizations/{ours['id']}")


def suspend(file: Path, admin: Server) -> None:
    (ours,) = authorizations(admin, "cloud")
    admin.ask("PATCH", f"authorizations/{ours['id']}", {"status": "inactive"})


def take_a_right(file: Path, admin: Server) -> None:
    (ours,) = authorizations(admin, "cloud")
    body = {"orgID": admin.org_id(), "description": "cloud", "permissions": ours["permissions"][:1]}
    file.write_text(admin.ask("POST", "authorizations", body)["token"])
    admin.ask("DELETE", f"authorizations/{ours['id']}")


def stop_before_the_file_was_written(file: Path, admin: Server) -> None:
    (ours,) = authorizations(admin, "cloud")
    admin.ask("POST", "authorizations", {key: ours[key] for key in ("orgID", "description", "permissions")})


@pytest.mark.parametrize(
    "happens",
    [lose, cut_off, damage, empty, mix_up, revoke, suspend, take_a_right, stop_before_the_file_was_written],
    ids=lambda happens: happens.__name__,
)
def test_a_token_that_is_no_good_is_made_anew_and_only_that(
    influxdb: str, secrets: Path, admin: Server, happens: Callable[[Path, Server], None]
) -> None:
    before = tokens(secrets)
    happens(secrets / "cloud" / TOKEN, admin)
    set_up(influxdb, secrets, Retention(), time.time_ns())
    after = tokens(secrets)
    assert after["cloud"] != before["cloud"]
    assert {**after, "cloud": ""} == {**before, "cloud": ""}
    assert query(influxdb, before["cloud"], "buckets()").status_code == 401
    assert query(influxdb, after["cloud"], "buckets()").status_code == 200
    assert len(authorizations(admin, "cloud")) == 1


def test_who_uses_a_token_takes_the_new_one(influxdb: str, secrets: Path) -> None:
    with using(influxdb, secrets) as (gateway, cloud):
        write_sample(gateway, "before")
        assert "before" in assets(cloud)
        for name in ("gateway", "cloud"):
            (secrets / name / TOKEN).unlink()
        set_up(influxdb, secrets, Retention(), time.time_ns())
        write_sample(gateway, "after")
        assert {"before", "after"} <= assets(cloud)


@contextmanager
def using(url: str, secrets: Path) -> Iterator[tuple[HttpStore, Store]]:
    """Give the gateway's store and the cloud's, as they are in the containers."""
    gateway = HttpStore(url, org=ORG, bucket=BUCKET, token_file=secrets / "gateway" / TOKEN)
    cloud = open_store(Settings(telemetry=url, store_token_file=secrets / "cloud" / TOKEN))
    yield gateway, cloud
    gateway.close()
    cloud.close()


def write_sample(gateway: HttpStore, asset: str) -> None:
    answer = gateway.write(f"cnc,asset={asset} x=1 {time.time_ns()}".encode())
    assert answer.outcome == "written", answer


def assets(cloud: Store) -> set[str]:
    """Return the assets that have samples."""
    return set(cloud.last(())["asset"].to_pylist())


def test_the_cloud_says_what_is_wrong_with_its_store(influxdb: str, secrets: Path, admin: Server) -> None:
    with using(influxdb, secrets) as (_, cloud):
        assert cloud.health() is None
        revoke(secrets / "cloud" / TOKEN, admin)
        refused = cloud.health()
        assert refused is not None
        assert "no token that InfluxDB takes" in refused.what
        assert "docker compose up" in refused.todo
        with pytest.raises(StoreRefuses, match="401"):
            cloud.last(())
        (secrets / "cloud" / TOKEN).write_text(tokens(secrets)["gateway"])
        assert "may read" in str(cloud.health())
        (secrets / "cloud" / TOKEN).unlink()
        assert cloud.health() == refused
        set_up(influxdb, secrets, Retention(), time.time_ns())
        assert cloud.health() is None


def test_a_store_that_does_not_answer_is_said_soon(free_port: int, tmp_path: Path) -> None:
    settings = Settings(telemetry=f"http://127.0.0.1:{free_port}")
    away = open_store(settings)
    assert "does not answer" in str(away.health())
    with socket.create_server(("127.0.0.1", free_port)):  # takes the connection, and says nothing
        began = time.monotonic()
        assert "does not answer" in str(away.health())
        assert time.monotonic() - began < 2 * HEALTH_MS / 1000
    away.close()


def test_a_server_that_lost_its_volume_is_set_up_with_the_secrets_there_are(program: str, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    provided(secrets)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with influxd(program, tmp_path / name) as url:
            set_up(url, secrets, Retention(), time.time_ns())
            with using(url, secrets) as (gateway, cloud):
                write_sample(gateway, name)
                assert assets(cloud) == {name}


def test_a_lost_admin_token_is_said_and_another_one_will_do(program: str, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    provided(secrets)
    with influxd(program, tmp_path) as url:
        set_up(url, secrets, Retention(), time.time_ns())
        (secrets / "influxdb" / "admin-token").unlink()
        provide(secrets, datetime.now(UTC))
        with pytest.raises(SetupError, match=r"secrets-influxdb.*docs/compose\.md"):
            set_up(url, secrets, Retention(), time.time_ns())
    before = tokens(secrets)
    command = [program, "recovery", "auth", "create-operator", f"--bolt-path={tmp_path}/b.bolt"]
    said = subprocess.run([*command, f"--org={ORG}", f"--username={USER}"], check=True, capture_output=True, text=True)
    (token,) = re.findall(r"(\S+==)\s", next(line for line in said.stdout.splitlines() if "Recovery" in line))
    (secrets / "influxdb" / "admin-token").write_text(token)
    with influxd(program, tmp_path) as url:
        set_up(url, secrets, Retention(), time.time_ns())
    assert tokens(secrets) == before


def test_an_older_server_can_be_upgraded(program: str, tmp_path: Path) -> None:
    older = os.environ.get("SHOPFLOOR_TEST_OLDER_INFLUXD")
    if older is None:
        pytest.skip("no older InfluxDB 2: put the path of its influxd into SHOPFLOOR_TEST_OLDER_INFLUXD")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    provided(secrets)
    with influxd(older, tmp_path) as url:
        set_up(url, secrets, Retention(), time.time_ns())
        with using(url, secrets) as (gateway, _):
            write_sample(gateway, "older")
    before = tokens(secrets)
    with influxd(program, tmp_path) as url:
        set_up(url, secrets, Retention(), time.time_ns())
        with using(url, secrets) as (gateway, cloud):
            write_sample(gateway, "newer")
            assert assets(cloud) == {"older", "newer"}
    assert tokens(secrets) == before


def test_the_gateway_may_write_only_and_grafana_read_only(influxdb: str, secrets: Path, admin: Server) -> None:
    known = tokens(secrets)
    body = b"cnc,asset=cnc-01 x=1"
    # the cloud may, as that is how an admin deletes an asset that is gone
    for name, status in (("gateway", 204), ("cloud", 204), ("grafana", 403)):
        header = {"Authorization": f"Token {known[name]}"}
        answer = httpx2.post(f"{influxdb}/api/v2/write?org={ORG}&bucket={BUCKET}", content=body, headers=header)
        assert answer.status_code == status, (name, answer.text)
    flux = f'from(bucket: "{BUCKET}") |> range(start: -1h)'
    for name in ("cloud", "grafana"):
        assert "cnc-01" in query(influxdb, known[name], flux).text
    assert "cnc-01" not in query(influxdb, known["gateway"], flux).text


def test_minutes_are_rolled_up_by_the_task(influxdb: str, secrets: Path, admin: Server) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    start_ns = int(minute.timestamp()) * 10**9
    values = [3.0, 1.0, 8.0]
    lines = [f"robot,asset=r-1,line=l x={v} {start_ns + i * 20 * 10**9}" for i, v in enumerate(values)]
    lines += [f'robot_text,asset=r-1,line=l s="a" {start_ns}', f"robot,asset=r-1,line=l x.quality=0 {start_ns + 1}"]
    store = HttpStore(influxdb, org=ORG, bucket=BUCKET, token_file=secrets / "gateway" / TOKEN)
    assert store.write("\n".join(lines).encode()).outcome == "written"
    store.close()
    # the text of the task, run by hand: what the server would do within five minutes
    flux = minutes_task(BUCKET, ORG)
    last = last_task(BUCKET, ORG, 30)
    for text in (flux, last):
        assert query(influxdb, (secrets / "influxdb" / "admin-token").read_text(), text).status_code == 200
    ask = f'from(bucket: "{minutes_bucket(BUCKET)}") |> range(start: -1h) |> filter(fn: (r) => r.asset == "r-1")'
    rows = _rows(query(influxdb, tokens(secrets)["cloud"], ask).text)
    assert {row["_time"] for row in rows} == {minute.strftime("%Y-%m-%dT%H:%M:%SZ")}
    found = sorted((row["_measurement"], row["_field"], row["aggregate"], row["_value"]) for row in rows)
    numbers = {"min": "1", "mean": "4", "max": "8", "last": "8", "sum": "12", "count": "3"}
    assert found == sorted(
        [("robot", "x", name, value) for name, value in numbers.items()]
        + [("robot", "s", "texts", "1"), ("robot_text", "s", "last", "a")]
    )
    tasks = admin.ask("GET", "tasks", orgID=admin.org_id())["tasks"]
    assert {(task["status"], task["flux"]) for task in tasks} == {("active", flux), ("active", last)}


@pytest.mark.parametrize("raw_days", [1, 2, 400])
def test_the_last_roll_up_is_of_the_day_that_goes_next(
    influxdb: str, secrets: Path, admin: Server, raw_days: int
) -> None:
    set_up(influxdb, secrets, Retention(raw_days=raw_days), 0)
    (task,) = (task for task in admin.ask("GET", "tasks", orgID=admin.org_id())["tasks"] if "cron" in task)
    assert task["cron"] == "50 23 * * *"
    (stop,) = (line for line in task["flux"].splitlines() if line.startswith("stop = "))
    ask = f'import "array"\nimport "date"\n{stop}\narray.from(rows: [{{_time: date.sub(d: 2d, from: stop), v: 1.0}}])'
    (row,) = _rows(query(influxdb, tokens(secrets)["cloud"], ask).text)
    assert row["_time"] == f"{format_time(horizon(time.time_ns(), raw_days))[:19]}Z"
    set_up(influxdb, secrets, Retention(), 0)


def _rows(csv: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    header: list[str] = []
    for line in csv.splitlines():
        cells = line.split(",")
        if not line or line.startswith("#"):
            header = []
        elif not header:
            header = cells
        else:
            rows.append(dict(zip(header, cells, strict=False)))
    return rows


def test_the_dashboard_asks_what_the_store_answers(influxdb: str, secrets: Path) -> None:
    file = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "machine.json"
    dashboard: dict[str, Any] = orjson.loads(file.read_bytes())
    variable = dashboard["templating"]["list"][0]["query"]
    flux = [target["query"] for panel in dashboard["panels"] for target in panel["targets"]]
    given = {
        "v.defaultBucket": f'"{BUCKET}"', "v.timeRangeStart": "-1h", "v.timeRangeStop": "now()",
        "v.windowPeriod": "10s", "${asset}": "cnc-01",
    }  # fmt: skip
    for text in (variable, *flux):
        filled = re.sub("|".join(map(re.escape, given)), lambda found: given[found[0]], text)
        answer = query(influxdb, tokens(secrets)["grafana"], filled)
        assert answer.status_code == 200, answer.text
        assert "error" not in answer.text.partition("\n")[0]


@pytest.mark.parametrize("text", ["a week", "-1", "1.5"])
def test_a_retention_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match="SHOPFLOOR_RAW_DAYS"):
        Retention.of({"SHOPFLOOR_RAW_DAYS": text})


def test_a_server_that_is_not_there_is_said(free_port: int) -> None:
    server = Server(f"http://127.0.0.1:{free_port}", "token")
    with pytest.raises(SetupError, match="does not answer"):
        server.org_id()
    server.close()


def test_victoria_metrics_takes_what_the_gateway_writes(tmp_path: Path) -> None:
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.skip("victoria-metrics is not installed")
    port = free_port()
    command = [program, f"-storageDataPath={tmp_path / 'data'}", f"-httpListenAddr=127.0.0.1:{port}"]
    command += ["-retentionPeriod=1y", "-loggerLevel=ERROR"]
    now_ms = int(time.time() * 1000)
    with serving(command, f"http://127.0.0.1:{port}", tmp_path / "log") as url:
        store = HttpStore(url, org=ORG, bucket=BUCKET, token_file=None)
        lines = [
            f"cnc,asset=cnc-01,line=line1 spindle_speed={1000 + i},feed={i}.5 {(now_ms - 10_000 + i) * 10**6}"
            for i in range(100)
        ]
        lines.append(f'cnc_text,asset=cnc-01,line=line1 program="O1000" {now_ms * 10**6}')
        assert store.write("\n".join(lines).encode()).outcome == "written"
        store.close()
        found = _eventually(lambda: _exported(url, '{asset="cnc-01"}'), lambda rows: len(rows) == 2)
    values = {row["metric"]["__name__"]: row["values"] for row in found}
    assert values["cnc_spindle_speed"] == [1000 + i for i in range(100)]
    assert values["cnc_feed"] == [i + 0.5 for i in range(100)]


def _exported(url: str, match: str) -> list[dict[str, Any]]:
    httpx2.get(f"{url}/internal/force_flush")
    answer = httpx2.get(f"{url}/api/v1/export", params={"match[]": match})
    return [orjson.loads(line) for line in answer.text.splitlines()]


def _eventually(ask: Callable[[], Any], good: Callable[[Any], bool], timeout_s: float = 10) -> Any:
    until = time.monotonic() + timeout_s
    while not good(answer := ask()) and time.monotonic() < until:
        time.sleep(0.1)
    return answer
