"""Whatever is asked, by whom: no answer of 5xx, and hardly a word in the log."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

CLI_TOKEN = "cli-token-of-this-test"
STORE_TOKEN = "store-token-of-this-test"
WAIT_S = 60.0
MOST_LOG = 300
"""Bytes of log that one request may cost."""

HISTORY = b"/api/v1/telemetry/history?asset=cnc-01&signal=feed"
ALL_TIME = b"start=1970-01-01&end=2262-04-11T23:47:16Z"
LINES = b"cnc,site=s,area=a,line=l,asset=cnc-01 feed=1 1795420800000000000"
JSON = b"content-type: application/json"


@dataclass(frozen=True)
class Cloud:
    """A cloud in a process of its own."""

    port: int
    log: Path

    def send(self, request: bytes) -> int:
        """Send bytes; return the status of the answer, 0 when the connection was ended without one."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S) as line:
            line.sendall(request)
            answer = b""
            try:
                while b"\r\n" not in answer and (piece := line.recv(65536)):
                    answer += piece
            except ConnectionResetError:
                return 0
        return int(answer.split(b" ", 2)[1]) if answer else 0

    def ask(self, method: bytes, target: bytes, *headers: bytes, body: bytes = b"") -> int:
        """Send a request of the command line, whatever is in it."""
        ours = (b"host: 127.0.0.1", b"connection: close", b"content-length: %d" % len(body))
        if not any(header.lower().startswith(b"authorization") for header in headers):
            ours += (b"authorization: Bearer " + CLI_TOKEN.encode(),)
        return self.send(b"\r\n".join([method + b" " + target + b" HTTP/1.1", *ours, *headers, b"", body]))


@pytest.fixture
def cloud(tmp_path: Path, free_port: int, database_url: str) -> Iterator[Cloud]:
    for name, token in (("cli", CLI_TOKEN), ("store", STORE_TOKEN)):
        (tmp_path / name).write_text(token)
    settings = {
        "HOME": tmp_path / "home",
        "PORT": free_port,
        "DATABASE_URL": database_url,
        "CLI_TOKEN_FILE": tmp_path / "cli",
        "STORE_TOKEN_FILE": tmp_path / "store",
        "MQTT_URL": "mqtt://127.0.0.1:1",
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SHOPFLOOR_")}
    environ |= {f"SHOPFLOOR_{name}": str(value) for name, value in settings.items()}
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "cloud"], env=environ, stderr=file, stdout=subprocess.DEVNULL
        ) as process,
    ):
        cloud = Cloud(free_port, log)
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            try:
                if cloud.ask(b"GET", b"/api/v1/health") == 200:
                    break
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        gateway = b"authorization: Token " + STORE_TOKEN.encode()
        assert cloud.ask(b"POST", b"/api/v2/write", gateway, body=LINES) == 204
        # of what was before there are minutes, as after a year
        since = b"raw_since raw_since=1 1795000000000000000"
        assert cloud.ask(b"POST", b"/api/v2/write?bucket=shopfloor_1m", gateway, body=since) == 204
        yield cloud
        process.kill()


def targets() -> Iterator[bytes]:
    """Give paths and queries."""
    yield from (
        HISTORY + b"&" + ALL_TIME + more
        for more in (b"", b"&points=1", b"&points=2", b"&points=10000", b"&points=1&format=arrow", b"&integers=text")
    )
    yield HISTORY + b"&start=1970-01-01&end=2262-04-11T23:47:16.854775807Z&points=1"
    yield HISTORY + b"&start=1970-01-01&end=1970-01-01T00:00:00.000000001Z&points=10000"
    yield HISTORY + b"&start=-999999999w&end=%2B999999999w"
    export = HISTORY.replace(b"history", b"export") + b"&" + ALL_TIME
    yield from (export, export + b"&format=parquet", export + b"&resolution=minute")
    odd = b"%00 a%00b %ff%fe %ed%a0%80 %F0%9F%92%A9 %0a%0dforged %1b[2J %E2%80%AE ..%2f..%2fetc%2fpasswd % %zz NaN {}"
    for text in (*odd.split(), b"a" * 300, b"a" * 30_000, b"9" * 5000, b"-" + b"9" * 400):
        yield b"/assets/" + text
        yield b"/api/v1/" + text
        yield b"/api/v1/assets/" + text
        yield b"/api/v1/telemetry/last?asset=" + text
        yield b"/api/v1/telemetry/series?asset=" + text
        yield b"/api/v1/ledger?source=" + text
        yield b"/api/v1/telemetry/history?asset=" + text + b"&signal=" + text
        yield HISTORY + b"&signal=" + text
        yield HISTORY + b"&points=" + text
        yield HISTORY + b"&start=" + text
        yield HISTORY + b"&points=1" * 20 + b"&" + text + b"=" + text
    yield HISTORY + b"&\xff\xfe=\xff"
    yield b"/api/v1/assets/\xff\xfe"
    yield b"/api/v1/assets/\xed\xa0\x80"


def bodies() -> Iterator[bytes]:
    """Give bodies of JSON that are none, too large, too deep, or hold what no text may."""
    yield from (b"", b"{", b"\xff\xfe", b"\x00", b"null", b"NaN", b"[[" * 20_000, b'{"a":' * 5000, b"9" * 5000)
    for text in (b"\\u0000", b"\\ud800", b"\xff", b"x" * 100_000, b"\\u202e\\u001b[2J\\n", b"1e999"):
        yield b'{"username": "%s", "password": "wrong horse", "token": "%s", "new": "%s"}' % (text, text, text)
        yield b'{"username": "admin", "password": "%s", "%s": 1}' % (text, text)
    yield b'{"username": %s, "token": 1e999, "password": -%s}' % (b"9" * 4000, b"9" * 4000)


def headers() -> Iterator[bytes]:
    """Give headers that browsers do not send."""
    for text in (
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b'"\\377"',
        b"a" * 9000,
        b"=;=;;=\x80",
        b"http://[::1",
        b"null",
        b"\x1b[2J",
    ):
        for name in (
            b"cookie: shopfloor_8080=",
            b"authorization: Bearer ",
            b"origin: ",
            b"sec-fetch-site: ",
            b"accept: ",
        ):
            yield name + text
        for name in (
            b"content-encoding: ",
            b"content-type: ",
            b"x-forwarded-for: ",
            b"x-forwarded-proto: ",
            b"range: ",
        ):
            yield name + text


def raw() -> Iterator[bytes]:
    """Give what is no HTTP."""
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200) + b"\r\n\r\n"
    yield b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n"
    yield b"GET /\x1b[2J HTTP/1.1\r\nhost: a\r\n\r\n"
    yield b"GET / HTTP/9.9\r\n\r\n"
    yield b"\r\n" * 50 + b"forged line\r\n\r\n"
    yield b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: -1\r\n\r\n"
    yield b"POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n"


def test_no_request_is_an_error_of_the_server_or_writes_much_into_the_log(cloud: Cloud) -> None:
    asked: list[tuple[str, int, int]] = []

    def note(what: bytes, status: int) -> None:
        asked.append((repr(what[:120]), status, cloud.log.stat().st_size))

    begin = cloud.log.stat().st_size
    for target in targets():
        note(target, cloud.ask(b"GET", target))
    for body in bodies():
        for path in (b"/api/v1/auth/login", b"/api/v1/auth/link", b"/api/v1/tokens", b"/api/v1/users"):
            note(path + body, cloud.ask(b"POST", path, JSON, body=body))
        note(b"password" + body, cloud.ask(b"PUT", b"/api/v1/auth/password", JSON, body=body))
        gateway = b"authorization: Token " + STORE_TOKEN.encode()
        note(b"write" + body, cloud.ask(b"POST", b"/api/v2/write", gateway, body=body))
        note(b"gzip" + body, cloud.ask(b"POST", b"/api/v2/write", gateway, b"content-encoding: gzip", body=body))
    for header in headers():
        for method, target in (
            (b"GET", b"/api/v1/auth/me"),
            (b"POST", b"/api/v1/auth/login"),
            (b"POST", b"/api/v2/write"),
        ):
            note(header, cloud.ask(method, target, header, body=b"{}"))
    for each in raw():
        note(each, cloud.send(each))
    sizes = [begin, *(size for _, _, size in asked)]
    cost = [after - before for before, after in pairwise(sizes)]
    assert [(what, status) for what, status, _ in asked if status >= 500] == []
    assert [(each, what) for each, (what, _, _) in zip(cost, asked, strict=True) if each > MOST_LOG] == []
    log = cloud.log.read_bytes().decode()
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", log) == []
    assert "forged" not in log
    assert CLI_TOKEN not in log
