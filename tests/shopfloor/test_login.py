"""`shopfloor login` with a cloud that starts, that runs, and that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

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
    with httpx2.Client(base_url=f"{address}/api/v1", headers={"Origin": address}, trust_env=False) as browser:
        browser.post("/auth/link", json={"token": secret}).raise_for_status()
        browser.put("/auth/password", json={"new": PASSWORD}).raise_for_status()
        yield browser


def test_it_waits_for_a_cloud_that_starts_and_prints_the_first_link(
    cloud: Callable[[], None], login: Login, free_port: int
) -> None:
    cloud()
    said = login()
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"http://127.0.0.1:{free_port}/login#")
    with enter(said.stdout) as browser:
        assert browser.get("/auth/me").json()["username"] == "admin"
    # from now on the password counts
    said = login()
    assert said.stdout.startswith(f"http://127.0.0.1:{free_port}: log in with your password")
    assert "shopfloor login --new USER" in said.stdout
    assert json.loads(login("--json").stdout) == {"console": f"http://127.0.0.1:{free_port}", "login": None}


def test_a_lost_password_is_replaced_by_a_new_link(cloud: Callable[[], None], login: Login) -> None:
    cloud()
    first = login().stdout
    assert login("--new", "admin").stdout != first
    assert "log in with your password" in login().stdout
    with enter(login("--new", "admin").stdout) as old:
        said = login("--new", "admin")
        assert said.returncode == 0, said.stderr
        assert old.get("/auth/me").status_code == 401
    with enter(said.stdout) as browser:
        assert browser.get("/auth/me").status_code == 200
    said = login("--new", "nobody")
    assert said.returncode == 4
    assert "there is no user 'nobody'" in said.stderr
    assert "the users are: admin" in said.stderr


def test_it_says_the_address_that_browsers_use(cloud: Callable[[], None], login: Login) -> None:
    cloud()
    said = login("--json", SHOPFLOOR_PUBLIC_URL="https://plant.example/")
    assert json.loads(said.stdout)["console"] == "https://plant.example"


def test_it_gives_up_and_says_where_to_look(login: Login, free_port: int) -> None:
    said = login("--wait-s", "0.2")
    assert said.returncode == 3
    assert f"the console at http://127.0.0.1:{free_port} does not answer within 0 s" in said.stderr
    assert "docker compose logs cloud" in said.stderr
