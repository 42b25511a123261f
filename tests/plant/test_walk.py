"""The README's own press and furnace in a real browser: from nothing to a chart without any red."""

from __future__ import annotations

import asyncio
import math
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from asyncua import Server, ua
from asyncua.crypto import cert_gen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from playwright.sync_api import Browser, BrowserContext, Page, expect

from contract.broker import Broker
from contract.mqtt import Session
from tests.browser import chromium, too_wide
from tests.plant.conftest import ROOT
from tests.plant.test_documents import blocks

pytestmark = pytest.mark.e2e

PASSWORD: Final = "a password of a test"
URI: Final = "urn:test:press"
WIDTHS: Final = (1280, 768, 390)
LOCALES: Final = {"en": "en-US", "zh": "zh-CN"}
NAMES: Final = {"en": ("Press 1", "Furnace 1"), "zh": ("压力机 1", "加热炉 1")}
WELL: Final = {"en": re.compile("Connected|Quiet"), "zh": re.compile("已连接|无变化")}
"""How a machine without a state stands when all is well; a furnace that was fed once is quiet after a minute."""


class Press:
    """An OPC UA server like the one of the README: signed and encrypted, so that it is not trusted at first."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._address = f"opc.tcp://127.0.0.1:{port}"
        self._is_up = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(60)

    def stop(self) -> None:
        self._ends.set()
        self._thread.join(20)

    def _certificate(self) -> tuple[Path, Path]:
        key = cert_gen.generate_private_key()
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(URI), x509.DNSName("127.0.0.1")]
        made = cert_gen.generate_self_signed_app_certificate(
            key, "press", {}, names, [ExtendedKeyUsageOID.SERVER_AUTH], days=10
        )
        certificate, private = self._folder / "press.der", self._folder / "press.pem"
        certificate.write_bytes(made.public_bytes(Encoding.DER))
        private.write_bytes(cert_gen.dump_private_key_as_pem(key))
        return certificate, private

    async def _serve(self) -> None:
        server = Server()
        await server.init()
        server.set_endpoint(self._address)
        await server.set_application_uri(URI)
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        certificate, private = self._certificate()
        await server.load_certificate(certificate)
        await server.load_private_key(private)
        press = await server.nodes.objects.add_object(ua.NodeId("Press", 1), ua.QualifiedName("Press", 1))
        force = await press.add_variable(ua.NodeId("Press/Force", 1), ua.QualifiedName("Force", 1), 20.0)
        async with server:
            self._is_up.set()
            while not self._ends.is_set():
                await force.write_value(20 + 5 * math.sin(time.time()))
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def press(tmp_path: Path, plant_of_readme: Any) -> Iterator[Press]:
    made = Press(tmp_path, plant_of_readme.port + 5)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def plant_of_readme(make_plant: Callable[[], Any], tmp_path: Path) -> Any:
    """A plant, not started, of the plant file that the README lets its reader write."""
    plant = make_plant()
    plant.home = tmp_path / ".shopfloor"
    plant.environ["SHOPFLOOR_HOME"] = str(plant.home)
    parts = [block for block in blocks(ROOT / "README.md") if block.words == "my.yaml"]
    assert [block.action for block in parts] == ["file", "append"]
    text = "".join(block.text for block in parts).replace("8081", str(plant.port + 1))
    (tmp_path / "my.yaml").write_text(text.replace("4840", str(plant.port + 5)))
    return plant


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: SHOPFLOOR_SCREENSHOTS, for those who want to look at them."""
    folder = Path(os.environ.get("SHOPFLOOR_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_press_and_the_furnace_of_the_readme(
    plant_of_readme: Any, press: Press, browser: Browser, tmp_path: Path, shots: Path
) -> None:
    plant = plant_of_readme
    plant.start("--plant", str(tmp_path / "my.yaml"), cwd=tmp_path)
    first = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    page = first.new_page()
    page.goto(plant.ready(400))
    page.fill("input[name=new-password]", PASSWORD)
    page.fill("input[name=repeat]", PASSWORD)
    page.get_by_role("button", name="Save and continue").click()

    # the press is there, says why it is not read, and gives the command that the reader needs
    page.get_by_test_id("tile-press-1").click(timeout=60_000)
    why = page.get_by_test_id("why")
    expect(why).to_contain_text("is not trusted", timeout=60_000)
    page.screenshot(path=shots / "walk-untrusted.png")
    command = why.locator("code").inner_text()
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, check=True)
    expect(page.get_by_test_id("machine-head")).to_contain_text("Connected", timeout=90_000)
    expect(why).to_be_hidden()

    publish(plant, '{"zones": [{"temperature": 851.5}], "door": "closed"}')
    page.goto(f"http://127.0.0.1:{plant.port}/machines/furnace-1")
    expect(page.get_by_test_id("signals")).to_contain_text("851.5", timeout=60_000)

    signed_in = first.storage_state()
    signed_in["origins"] = []  # the cookie only: the language is the browser's
    first.close()
    for language, locale in LOCALES.items():
        for width in WIDTHS:
            context = browser.new_context(
                locale=locale, viewport={"width": width, "height": 900}, storage_state=signed_in, color_scheme="light"
            )
            see(context, plant, language, shots / f"walk-{language}-{width}")
            context.close()


def publish(plant: Any, message: str) -> None:
    """Say something as the reader's furnace does."""
    broker = Broker(
        url=f"mqtt://127.0.0.1:{plant.port + 1}", user="machine", password_file=plant.home / "secrets" / "mqtt-machine"
    )
    session = Session(broker, "furnace")
    session.start()
    deadline = time.monotonic() + 20
    while not session.publish("machines/furnace-1", message.encode(), qos=1):
        assert time.monotonic() < deadline, "the broker does not take the message"
        time.sleep(0.1)
    session.stop()


def see(context: BrowserContext, plant: Any, language: str, shot: Path) -> None:
    """Look at every page that the two machines are on."""
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    press, furnace = NAMES[language]
    page.goto(f"http://127.0.0.1:{plant.port}/")
    for machine, name in (("press-1", press), ("furnace-1", furnace)):
        expect(page.get_by_test_id(f"tile-{machine}")).to_contain_text(name)
        expect(page.get_by_test_id(f"tile-{machine}")).to_contain_text(WELL[language])
    nothing_is_wrong(page)
    page.screenshot(path=f"{shot}-plant.png")
    for machine, name in (("press-1", press), ("furnace-1", furnace)):
        page.goto(f"http://127.0.0.1:{plant.port}/machines/{machine}")
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(page.get_by_test_id("chart")).not_to_have_attribute("data-points", "0", timeout=30_000)
        expect(page.get_by_test_id("signals")).to_be_visible()
        nothing_is_wrong(page)
        page.screenshot(path=f"{shot}-{machine}.png")
        if machine == "press-1":
            expect(page.locator("[data-signal=server_time]")).to_contain_text(re.compile(r"20\d\d-\d\d-\d\d \d\d:"))
    assert said == []
    page.close()


def nothing_is_wrong(page: Page) -> None:
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("main :is(.fault, .offline, .stale, .interrupted, .out):not(.zero)")).to_have_count(0)
    assert too_wide(page, page.evaluate("innerWidth")) == {}
