"""A real cloud of this test: real files, real database, a real server where a test needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from cloud import db
from cloud.__main__ import Server, configure, listen
from cloud.app import create_app
from cloud.auth import accounts
from cloud.auth.rights import Role
from cloud.parts import Parts, build_parts, close_parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from cloud.settings import Settings

STORE_TOKEN = "store-token-of-this-test"
CLI_TOKEN = "cli-token-of-this-test"
GATEWAY_TOKEN = "gateway-token-of-this-test"
BASE = "http://testserver"


def announcement(asset: str = "cnc-01", **changes: object) -> Announcement:
    said = {
        "time": 1_795_420_800_000,
        "enterprise": "demo",
        "site": "shanghai",
        "area": "machining",
        "line": "line1",
        "asset": asset,
        "kind": "cnc",
        "names": {"en": "Milling center 1", "zh": "加工中心 1"},
        "edge_node": "demo:shanghai:machining/line1",
        "online": True,
        "signals": [
            {"name": "spindle_speed", "datatype": "double", "unit": "rpm", "low": 0, "high": 12000},
            {"name": "feed", "datatype": "double", "unit": "mm/min"},
            {"name": "program", "datatype": "string", "writable": True},
            {"name": "door_open", "datatype": "boolean"},
        ],
    }
    return Announcement.model_validate(said | changes)


def settings_in(home: Path, schema: Path | None = None) -> Settings:
    """Return the settings of a cloud in a new home, with a copy of the SQLite database `schema`, if it is given."""
    secrets = home / "secrets"
    secrets.mkdir()
    (secrets / "store-token").write_text(STORE_TOKEN + "\n")
    (secrets / "cli-token").write_text(CLI_TOKEN + "\n")
    (secrets / "gateway-token").write_text(GATEWAY_TOKEN + "\n")
    settings = Settings(
        home=home,
        port=8080,
        raw_days=0,
        store_token_file=secrets / "store-token",
        cloud_token_file=secrets / "gateway-token",
        cli_token_file=secrets / "cli-token",
        console=home / "dist",
    )
    if schema is not None:
        settings.cloud_home.mkdir(mode=0o700)
        shutil.copy(schema, settings.cloud_home / "shopfloor.db")
    return settings


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the tables of now and nothing in them: all migrations take longer than many a test."""
    path = tmp_path_factory.mktemp("schema") / "shopfloor.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    engine = db.connect(url)
    db.migrate(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Makes databases with the tables of now in a PostgreSQL server of this run and returns their addresses."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    programs = str(found[-1]) if found else os.path.dirname(shutil.which("initdb") or "")  # noqa: PTH120
    if not programs:
        pytest.skip("no PostgreSQL: install the package postgresql")
    # not below pytest's folder, which each run that starts closes to other users, and so to a server that runs
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    initdb = [f"{programs}/initdb", "-U", "tester", "--auth=trust", "--encoding=UTF8", "--locale=C", "-N", "-D", data]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_user)
    server = [f"{programs}/postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(server, stdout=log, stderr=log, cwd=folder, **as_user)
    try:
        _migrate(_make_database(folder, process, count(), "template1"))
        yield partial(_make_database, folder, process, count(1), "test_0")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _make_database(folder: Path, process: subprocess.Popen[bytes], numbers: Iterator[int], like: str) -> str:
    name, deadline = f"test_{next(numbers)}", time.monotonic() + 20
    while True:
        try:
            with psycopg.connect(host=str(folder), user="tester", dbname="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
                return f"postgresql+psycopg://tester@/{name}?host={folder}"
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}") from None
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each kind of relational database, with its tables; "" is the cloud's own default, SQLite."""
    if request.param == "sqlite":
        return ""
    make: Callable[[], str] = request.getfixturevalue("postgresql")
    return make()


@pytest.fixture
def settings(tmp_path: Path, database_url: str, schema: Path) -> Settings:
    return settings_in(tmp_path, schema).model_copy(update={"database_url": database_url})


@pytest.fixture
def parts(settings: Settings) -> Iterator[Parts]:
    parts = build_parts(settings)
    yield parts
    close_parts(parts)


@pytest.fixture(scope="module")
def shared_parts(tmp_path_factory: pytest.TempPathFactory, schema: Path) -> Iterator[Parts]:
    """The parts of a cloud that all tests of a module ask, with one asset."""
    parts = build_parts(settings_in(tmp_path_factory.mktemp("cloud"), schema))
    with parts.sessions.begin() as db:
        learn(db, announcement())
    yield parts
    close_parts(parts)


@pytest.fixture
def announce() -> Callable[..., Announcement]:
    """Return what an asset says of itself."""
    return announcement


@pytest.fixture
def client(parts: Parts) -> TestClient:
    """Nobody, at a cloud with one asset."""
    with parts.sessions.begin() as db:
        learn(db, announcement())
    return TestClient(create_app(parts.settings, parts), base_url=BASE)


@pytest.fixture
def visit(client: TestClient, parts: Parts) -> Callable[[Role], TestClient]:
    """Return a browser that is logged in as a user of a role."""

    def visit(role: Role) -> TestClient:
        now = datetime.now(UTC)
        with parts.sessions.begin() as db:
            user = accounts.add_user(db, f"{role.value}-{now.timestamp()}", role, now)
            cookie = accounts.start_login(db, user, now)
        return TestClient(client.app, base_url=BASE, cookies={parts.settings.cookie: cookie})

    return visit


@pytest.fixture
def viewer(visit: Callable[[Role], TestClient]) -> TestClient:
    return visit(Role.VIEWER)


@pytest.fixture
def admin(visit: Callable[[Role], TestClient]) -> TestClient:
    return visit(Role.ADMIN)


@pytest.fixture
def write(client: TestClient) -> Callable[[str], None]:
    """Write line protocol as a gateway does."""

    def write(lines: str) -> None:
        answer = client.post("/api/v2/write", content=lines.encode(), headers={"Authorization": f"Token {STORE_TOKEN}"})
        assert answer.status_code == 204, answer.text

    return write


@pytest.fixture
def address(client: TestClient, parts: Parts) -> Iterator[str]:
    """The address of a real server with the same parts."""
    with listen("127.0.0.1", 0) as listening:
        server = Server(configure(create_app(parts.settings, parts), parts.settings, stop_s=1), parts)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(5)
