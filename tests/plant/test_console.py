"""The console of a running demo in a real browser: both pages with data in them, in both languages."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium

pytestmark = pytest.mark.e2e

WORDS = {
    "en-US": ("Plant overview", "Milling center 1", "Robot 2"),
    "zh-CN": ("工厂总览", "加工中心 1", "机器人 2"),
}
PASSWORD = "a password of a test"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: SHOPFLOOR_SCREENSHOTS, for those who want to look at them."""
    folder = Path(os.environ.get("SHOPFLOOR_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_both_pages_have_data_in_both_languages(make_plant: Callable[[], Any], browser: Browser, shots: Path) -> None:
    plant = make_plant()
    plant.start()
    link = plant.ready(400)
    first = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900}).new_page()
    first.goto(link)
    first.fill("input[name=new-password]", PASSWORD)
    first.fill("input[name=repeat]", PASSWORD)
    first.get_by_role("button", name="Save and continue").click()
    expect(first.get_by_test_id("tile-cnc-01")).to_be_visible(timeout=30_000)
    logged_in = first.context.storage_state()
    logged_in["origins"] = []  # the cookie only: the language is the browser's

    for locale, words in WORDS.items():
        context = browser.new_context(
            locale=locale, viewport={"width": 1440, "height": 900}, storage_state=logged_in, color_scheme="light"
        )
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error, problems=problems: problems.append(str(error)))
        see_plant(page, plant, words)
        page.screenshot(path=shots / f"plant-{locale}.png", full_page=True)
        see_machine(page, plant, words)
        page.screenshot(path=shots / f"machine-{locale}.png", full_page=True)
        assert problems == []
        context.close()
    assert {path.stat().st_size > 20_000 for path in shots.glob("*.png")} == {True}


def see_plant(page: Page, plant: Any, words: tuple[str, ...]) -> None:
    page.goto(f"http://127.0.0.1:{plant.port}/")
    for text in words[1:]:
        expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name=words[0])).to_be_visible()
    for asset in ("cnc-01", "cnc-02", "robot-01", "robot-02"):
        expect(page.get_by_test_id(f"tile-{asset}")).to_contain_text(re.compile(r"\d"))


def see_machine(page: Page, plant: Any, words: tuple[str, ...]) -> None:
    page.goto(f"http://127.0.0.1:{plant.port}/machines/cnc-01")
    expect(page.get_by_role("heading", name=words[1])).to_be_visible(timeout=30_000)
    expect(page.get_by_text("spindle_speed").first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()


class _Oven(BaseHTTPRequestHandler):
    """A machine that shows its values as JSON."""

    def do_GET(self) -> None:
        body = json.dumps({"zone": {"temperature": 451.5}, "program": "bake"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_said: Any) -> None:
        """Say nothing."""


@pytest.fixture
def oven() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Oven)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/status"
    server.shutdown()
    server.server_close()


def test_a_machine_is_connected_from_its_address(
    make_plant: Callable[[], Any], browser: Browser, shots: Path, oven: str
) -> None:
    plant = make_plant()
    plant.start("--no-fault")
    page = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 900}).new_page()
    page.goto(plant.ready(400))
    page.fill("input[name=new-password]", PASSWORD)
    page.fill("input[name=repeat]", PASSWORD)
    page.locator("button[type=submit]").click()
    page.get_by_role("link", name="接入机器").click()
    lines = page.locator("select[name=line] option")
    while lines.all_inner_texts() != ["assembly/line1", "machining/line1"]:  # the third is of another maker
        page.wait_for_timeout(500)
        page.reload()
        page.locator("select[name=line], .panel strong").first.wait_for()
    page.fill("input[name=address]", "127.0.0.1:1")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("answers")).to_contain_text("127.0.0.1", timeout=30_000)
    page.fill("input[name=address]", oven)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("answers")).to_contain_text("http", timeout=30_000)
    page.get_by_role("button", name="显示标签").click()
    expect(page.get_by_test_id("tags")).to_contain_text("zone.temperature", timeout=30_000)
    page.fill("input[name=machine]", "oven-1")
    page.fill("input[name=kind]", "oven")
    page.get_by_role("button", name="预览").click()
    expect(page.get_by_test_id("proposal")).to_contain_text("driver: http", timeout=30_000)
    page.screenshot(path=shots / "connect-zh-CN.png", full_page=True)
    page.get_by_role("button", name="接入", exact=True).click()
    page.get_by_test_id("connected").get_by_role("link").click(timeout=30_000)
    expect(page.locator("main")).to_contain_text("451.5", timeout=30_000)
