"""The cloud as a process: it starts, says what is wrong, stops in time, and keeps what it has."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

LINE = "cnc,site=s,area=a,line=l,asset=cnc-01 feed=1 1795420800000000000\n"
PASSWORD = "a password of a test"
WAIT_S = 60.0
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a cloud with settings; what is left is killed."""
    started: list[subprocess.Popen[str]] = []
    token = tmp_path / "store-token"
    token.write_text("store-token-of-this-test")

    def start(**settings: object) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHOPFLOOR_")}
        given = {"home": tmp_path / "home", "store_token_file": token, "mqtt_url": "mqtt://127.0.0.1:1"} | settings
        environment |= {f"SHOPFLOOR_{name.upper()}": str(value) for name, value in given.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "cloud"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until_serving(port: int) -> str:
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + WAIT_S
    tick = threading.Event()
    while True:
        try:
            assert httpx2.get(f"{address}/api/v1/health").json() == {"status": "ok"}
        except httpx2.ConnectError:
            assert time.monotonic() < deadline
            tick.wait(0.05)
        else:
            return address


def choose_password(address: str, link: str) -> None:
    with httpx2.Client(base_url=address) as browser:
        browser.post("/api/v1/auth/link", json={"token": link.split("#")[1].strip()}).raise_for_status()
        browser.put("/api/v1/auth/password", json={"new": PASSWORD}).raise_for_status()


def last_values(address: str) -> list[float]:
    with httpx2.Client(base_url=address) as browser:
        browser.post("/api/v1/auth/login", json={"username": "admin", "password": PASSWORD}).raise_for_status()
        values: list[float] = browser.get("/api/v1/telemetry/last").json()["value"]
        return values


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_it_serves_stops_in_time_and_keeps_what_it_acknowledged(
    start: Start, free_port: int, tmp_path: Path, stop: signal.Signals
) -> None:
    process = start(port=free_port)
    address = wait_until_serving(free_port)
    headers = {"Authorization": "Token store-token-of-this-test"}
    assert httpx2.post(f"{address}/api/v2/write", content=LINE.encode(), headers=headers).status_code == 204
    choose_password(address, (tmp_path / "home" / "secrets" / "login-link").read_text())
    assert last_values(address) == [1.0]
    began = time.monotonic()
    process.send_signal(stop)
    assert process.wait(WAIT_S) == (0 if stop != signal.SIGKILL else -signal.SIGKILL)
    assert time.monotonic() - began < 3
    start(port=free_port)
    address = wait_until_serving(free_port)
    assert last_values(address) == [1.0]


def refused(process: subprocess.Popen[str]) -> str:
    _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert "Traceback" not in log
    return log


@pytest.mark.parametrize(("trusted", "last"), [("", 429), ("127.0.0.1,10.0.0.0/8", 401)])
def test_only_a_configured_proxy_says_whose_request_it_is(
    start: Start, free_port: int, trusted: str, last: int
) -> None:
    start(port=free_port, trusted_proxies=trusted)
    address = wait_until_serving(free_port)
    body = {"username": "admin", "password": "wrong horse"}
    answers = [
        httpx2.post(
            f"{address}/api/v1/auth/login", json=body, headers={"X-Forwarded-For": f"192.0.2.{number}, 10.1.1.1"}
        ).status_code
        for number in range(6)
    ]
    assert answers == [401] * 5 + [last]


def test_a_proxy_that_is_no_address_is_told(start: Start, free_port: int) -> None:
    assert "SHOPFLOOR_TRUSTED_PROXIES" in refused(start(port=free_port, trusted_proxies="*"))


def test_its_files_are_private_also_those_that_were_there(start: Start, free_port: int, tmp_path: Path) -> None:
    home = tmp_path / "home" / "cloud"
    home.mkdir(parents=True)
    (home / "shopfloor.db").touch()
    (home / "shopfloor.db").chmod(0o666)
    home.chmod(0o777)
    before = os.umask(0)
    try:
        start(port=free_port)
    finally:
        os.umask(before)
    address = wait_until_serving(free_port)
    headers = {"Authorization": "Token store-token-of-this-test"}
    assert httpx2.post(f"{address}/api/v2/write", content=LINE.encode(), headers=headers).status_code == 204
    files = [home, *home.rglob("*")]
    assert len(files) > 3
    assert [(str(path), oct(path.stat().st_mode)) for path in files if path.stat().st_mode & 0o077] == []


def test_a_port_in_use_is_told(start: Start, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        assert "SHOPFLOOR_PORT" in refused(start(port=free_port))


def test_a_second_cloud_on_one_home_is_told(start: Start, free_port: int) -> None:
    start(port=free_port)
    wait_until_serving(free_port)
    assert "open in another process" in refused(start(port=0))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"port": "many", "telemetry": "cassandra"}, "SHOPFLOOR_PORT"),
        ({"store_token_file": "/dev/null/token"}, "/dev/null/token"),
        ({"database_url": "sqlite:////dev/null/x.db"}, "/dev/null"),
    ],
)
def test_wrong_settings_are_told(start: Start, settings: dict[str, str], says: str) -> None:
    assert says in refused(start(**({"port": 0} | settings)))


def test_f10_a_database_that_another_process_has_locked_is_said(start: Start, free_port: int, tmp_path: Path) -> None:
    start(port=free_port)
    address = wait_until_serving(free_port)
    with closing(sqlite3.connect(tmp_path / "home" / "cloud" / "shopfloor.db", isolation_level=None)) as other:
        for lock in ("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"):
            other.execute(lock)
            told = httpx2.get(f"{address}/api/v1/health", timeout=10.0)
            assert (told.status_code, told.json()["detail"]) == (503, "the database is locked by another process")
            assert "SHOPFLOOR_DATABASE_URL" in told.json()["todo"]
            other.execute("ROLLBACK")
            assert httpx2.get(f"{address}/api/v1/health").status_code == 200
