"""The console in a real browser, before a real cloud that hears a real broker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from cloud.__main__ import Server, listen
from cloud.app import create_app
from cloud.auth import accounts
from cloud.capabilities import learns
from cloud.db import Sessions
from cloud.diagnosis import findings
from cloud.diagnosis.finding import Report
from cloud.diagnosis.findings import Computed
from cloud.live.uns import UnsListener
from cloud.parts import build_parts, close_parts
from cloud.settings import Settings
from contract.broker import Broker
from contract.mqtt import Session
from shopfloor.demo import console
from shopfloor.demo.logfile import LogFile
from tests.browser import chromium

STORE_TOKEN = "store-token-of-this-test"
CLOUD_TOKEN = "cloud-token-of-this-test"
PASSWORD = "a password of a test"
WAIT_S = 10.0
SIGNALS = [
    {"name": "execution", "datatype": "string"},
    {"name": "spindle_speed", "datatype": "double", "unit": "rpm", "low": 0, "high": 12000},
    {"name": "spindle_load", "datatype": "double", "unit": "%", "low": 0, "high": 100},
    {"name": "program", "datatype": "string", "writable": True},
    {"name": "door_open", "datatype": "boolean"},
]


def wait_until(happened: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {WAIT_S} s: {what}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built console; built when its sources have changed."""
    sources = console.folder()
    assert sources is not None
    log = LogFile(tmp_path_factory.mktemp("console") / "build.log")
    try:
        asyncio.run(console.build(sources, log, print))
    except console.BuildError as error:
        if "Node.js" in str(error):
            pytest.skip(f"the console cannot be built here: {error}")
        raise
    finally:
        log.close()
    return sources / "dist"


@dataclass
class RunningCloud:
    """A cloud on a port of its own that can be stopped and started again, with what it has stored."""

    settings: Settings
    broker: Broker
    port: int = 0
    link: str = ""
    sessions: Sessions | None = field(default=None, repr=False)
    _stop: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        parts = build_parts(self.settings)
        listening = listen("127.0.0.1", self.port)
        self.port = listening.getsockname()[1]
        uns = UnsListener(self.broker, parts.sessions, parts.hub, client_id=f"cloud-{self.port}", learns=learns())
        app = create_app(self.settings, parts)
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        server = Server(config, parts)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        uns.start()
        thread.start()
        wait_until(lambda: uns.trouble is None, "the cloud hears the broker")

        def stop() -> None:
            uns.stop()
            server.should_exit = True
            thread.join(WAIT_S)
            listening.close()
            close_parts(parts)

        self._stop = stop
        self.sessions = parts.sessions
        with parts.sessions.begin() as db:
            secret = accounts.first_link(db, datetime.now(UTC))
        self.link = f"{self.address}/login#{secret}"

    def stop(self) -> None:
        self._stop()
        self._stop = lambda: None

    def write(self, lines: str) -> None:
        """Store samples as a gateway does."""
        headers = {"Authorization": f"Token {STORE_TOKEN}"}
        httpx2.post(f"{self.address}/api/v2/write", content=lines.encode(), headers=headers).raise_for_status()

    def find(self, report: Report, computed: Computed) -> list[str]:
        """Bring the findings of an asset to what a report says, as the diagnosis does; return the new ones."""
        assert self.sessions is not None
        with self.sessions.begin() as db:
            return findings.take(db, report, computed).opened

    def bring(self, *lines: Mapping[str, object]) -> None:
        """Bring events and blocks as a gateway does."""
        headers = {"Authorization": f"Bearer {CLOUD_TOKEN}", "Content-Type": "application/x-ndjson"}
        content = b"\n".join(map(orjson.dumps, lines))
        answer = httpx2.post(f"{self.address}/api/v1/chain", content=content, headers=headers)
        assert answer.raise_for_status().json() == {"refused": []}


@pytest.fixture
def control() -> str:
    """The control address of simulators; a module that has some has a fixture of its own."""
    return ""


@pytest.fixture
def cloud(tmp_path: Path, dist: Path, nats_broker: Any, control: str) -> Iterator[RunningCloud]:
    token = tmp_path / "store-token"
    token.write_text(STORE_TOKEN + "\n")
    cloud_token = tmp_path / "cloud-token"
    cloud_token.write_text(CLOUD_TOKEN + "\n")
    planted = "cnc-01/spindle_bearing_outer" if control else ""
    settings = Settings(
        home=tmp_path,
        store_token_file=token,
        cloud_token_file=cloud_token,
        console=dist,
        trainer_url=control,
        planted_fault=planted,
    )
    broker = Broker(url=nats_broker.url, user=nats_broker.user, password_file=nats_broker.password_file)
    running = RunningCloud(settings, broker)
    running.start()
    yield running
    running.stop()


@dataclass
class SaidPlant:
    """What a gateway would say of a plant in the unified namespace."""

    session: Session
    places: dict[str, str] = field(default_factory=dict)

    def announce(
        self,
        asset: str,
        *,
        online: bool = True,
        kind: str = "cnc",
        line: str = "line1",
        signals: Sequence[Mapping[str, Any]] = SIGNALS,
        sensors: Mapping[str, Any] | None = None,
        reason_code: str = "",
        reason: str = "",
        do: str = "",
        **names: str,
    ) -> None:
        self.places[asset] = f"v1/demo/shanghai/machining/{line}/{asset}"
        place = {"enterprise": "demo", "site": "shanghai", "area": "machining", "line": line, "asset": asset}
        said = {"kind": kind, "names": names, "edge_node": f"demo:shanghai:machining/{line}", "signals": signals}
        why = {"reason_code": reason_code, "reason": reason, "do": do}
        known = {"sensors": sensors} if sensors else {}
        self._publish(asset, "info", place | said | why | known | {"online": online})

    def say(self, asset: str, quality: int = 192, **values: float | str | bool) -> None:
        """Say values of now."""
        numbers = {name: value for name, value in values.items() if type(value) in (int, float)}
        for category, some in (("tele", numbers), ("state", {k: v for k, v in values.items() if k not in numbers})):
            if some:
                now_ms = time.time_ns() // 1_000_000
                signals = {name: {"value": value, "quality": quality, "time": now_ms} for name, value in some.items()}
                self._publish(asset, category, {"seq": 0, "signals": signals})

    def _publish(self, asset: str, category: str, body: Mapping[str, object]) -> None:
        message = orjson.dumps({"time": time.time_ns() // 1_000_000, **body})
        assert self.session.publish(f"{self.places[asset]}/{category}", message, qos=1, retain=True)


@pytest.fixture
def plant(cloud: RunningCloud) -> Iterator[SaidPlant]:
    session = Session(cloud.broker, "gateway")
    session.start()
    wait_until(lambda: session.is_connected, "the gateway's connection")
    yield SaidPlant(session)
    session.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module: its event loop must be gone before asynchronous tests run."""
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900}, timezone_id="Asia/Shanghai")
    context.set_default_timeout(WAIT_S * 1000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which no script may fail."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    yield page
    assert errors == []


@pytest.fixture
def visitor(page: Page, cloud: RunningCloud) -> Page:
    """A page of somebody who is logged in."""
    with httpx2.Client(base_url=cloud.address, headers={"Origin": cloud.address}) as client:
        client.post("/api/v1/auth/link", json={"token": cloud.link.partition("#")[2]}).raise_for_status()
        client.put("/api/v1/auth/password", json={"new": PASSWORD}).raise_for_status()
        name, value = next(iter(client.cookies.items()))
    page.context.add_cookies([{"name": name, "value": value, "url": cloud.address}])
    return page
