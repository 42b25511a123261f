"""`shopfloor login` with a cloud that starts, that runs, and that is not there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from shopfloor.commands.login import new_link, wait_for_console

SHOPFLOOR = Path(sys.executable).with_name("shopfloor")
PASSWORD = "a password of a test"
Login = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(tmp_path: Path, free_port: int) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SHOPFLOOR_")}
    settings = {"HOME": str(tmp_path), "PORT": str(free_port), "MQTT_URL": "mqtt://127.0.0.1:1"}
    return ours | {f"SHOPFLOOR_{name}": value for name, value in settings.items()} | {"COLUMNS": "200"}


@pytest.fixture
def cloud(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Start a cloud; it is ended with the test."""
    with ExitStack() as started:

        def start() -> None:
            command = [sys.executable, "-m", "cloud"]
            log = started.enter_context((tmp_path / "cloud.log").open("wb"))
            process = started.enter_context(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
            started.callback(process.kill)

        yield start


@pytest.fixture
def login(environ: dict[str, str]) -> Login:
    def login(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command = [SHOPFLOOR, "login", *arguments]
        return subprocess.run(command, env=environ | settings, capture_output=True, text=True, timeout=100, check=False)

    return login


@contextmanager
def enter(link: str) -> Iterator[httpx2.Client]:
    """Open a link as the console does, and choose a password."""
    address, _, secret = link.strip().partition("/login#")
    with httpx2.Client(
        base_url=f"{address}/api/v1", headers={"Origin": address}, trust_env=False, timeout=30
    ) as browser:
        browser.post("/auth/link", json={"token": secret}).raise_for_status()
        browser.put("/auth/password", json={"new": PASSWORD}).raise_for_status()
        yield browser


def test_it_waits_for_a_cloud_that_starts_and_prints_a_link(
    cloud: Callable[[], None], login: Login, free_port: int
) -> None:
    cloud()
    said = login()
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"http://127.0.0.1:{free_port}/login#")
    assert said.stdout.count("\n") == 1
    assert "lets admin in once" in said.stderr
    with enter(said.stdout) as browser:
        assert browser.get("/auth/me").json()["username"] == "admin"
    said = login("--json")
    assert json.loads(said.stdout)["username"] == "admin"
    with enter(json.loads(said.stdout)["login"]) as browser:
        assert browser.get("/plant").status_code == 200


def test_a_new_link_works_whatever_was_before(
    cloud: Callable[[], None], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that was opened without a choice; a password that is lost; an admin who is disabled; none; a restore."""
    database = Path(environ["SHOPFLOOR_HOME"]) / "cloud" / "shopfloor.db"
    address = f"http://127.0.0.1:{environ['SHOPFLOOR_PORT']}"
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    cloud()
    wait_for_console(address, 100)
    token = new_link("")[1].partition("#")[2]
    httpx2.post(f"{address}/api/v1/auth/link", json={"token": token}, trust_env=False, timeout=30).raise_for_status()
    for change in (
        "",
        "UPDATE users SET password_hash = 'lost'",
        "UPDATE users SET disabled = 1",
        "UPDATE users SET role = 'viewer'",
        "DELETE FROM login_links",
        "DELETE FROM logins; DELETE FROM users",
    ):
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            connection.executescript(change)
        username, path = new_link("")
        assert username == "admin"
        with enter(address + path) as browser:
            me = browser.get("/auth/me").json()
            assert (me["username"], me["role"], me["must_set_password"]) == ("admin", "admin", False)


def test_a_link_for_somebody_else(cloud: Callable[[], None], login: Login) -> None:
    cloud()
    with enter(login().stdout) as admin:
        admin.post("/users", json={"username": "li.wei", "role": "operator"}).raise_for_status()
        with enter(login("--user", "li.wei").stdout) as browser:
            assert browser.get("/auth/me").json()["role"] == "operator"
        admin.patch("/users/li.wei", json={"disabled": True}).raise_for_status()
        said = login("--user", "li.wei")
        assert (said.returncode, said.stdout) == (4, "")
        assert "is disabled" in said.stderr
    said = login("--user", "nobody")
    assert said.returncode == 4
    assert "there is no user 'nobody'" in said.stderr
    assert "the users are: admin, li.wei" in said.stderr


def test_it_makes_no_link_for_another_plant(
    cloud: Callable[[], None], login: Login, environ: dict[str, str], tmp_path: Path
) -> None:
    cloud()
    other = tmp_path / "other"
    said = login(SHOPFLOOR_HOME=str(other))
    assert said.returncode == 4
    assert "there is no plant here" in said.stderr
    assert not other.exists()
    (other / "secrets").mkdir(parents=True)
    (other / "secrets" / "cli-token").write_text("of another plant")
    said = login(SHOPFLOOR_HOME=str(other))
    assert said.returncode == 4
    assert "not that of the state folder" in said.stderr


def test_nobody_gets_a_link_over_http(cloud: Callable[[], None], login: Login, environ: dict[str, str]) -> None:
    token = Path(environ["SHOPFLOOR_HOME"]) / "secrets" / "cli-token"
    token.parent.mkdir(parents=True)
    token.write_text("the token of the command line")
    environ["SHOPFLOOR_CLI_TOKEN_FILE"] = str(token)
    cloud()
    address = login().stdout.partition("/login#")[0]
    ours = {"Authorization": f"Bearer {token.read_text()}", "Origin": address}
    with httpx2.Client(base_url=f"{address}/api/v1", headers=ours, trust_env=False) as program:
        assert program.get("/plant").status_code == 200
        assert program.patch("/users/admin", json={"new_link": True}).status_code == 403
        assert program.post("/users", json={"username": "mine", "role": "admin"}).status_code == 403


def test_it_says_the_address_that_browsers_use(cloud: Callable[[], None], login: Login) -> None:
    cloud()
    said = login("--json", SHOPFLOOR_PUBLIC_URL="https://plant.example/")
    assert json.loads(said.stdout)["console"] == "https://plant.example"


def test_it_gives_up_and_says_where_to_look(login: Login, free_port: int) -> None:
    said = login("--wait-s", "0.2")
    assert said.returncode == 3
    assert f"the console at http://127.0.0.1:{free_port} does not answer within 0 s" in said.stderr
    assert "docker compose logs cloud" in said.stderr
