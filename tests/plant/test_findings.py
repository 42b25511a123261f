"""A fault of the demo is found by what the platform stored, and a person reads it in the browser in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import chromium, too_wide

pytestmark = pytest.mark.e2e

FOUND_S = 600
"""Within its first ten minutes a demo has something to show."""
PASSWORD = "a password of a test"


def findings(plant: Any) -> list[dict[str, Any]]:
    token = (plant.home / "secrets" / "cli-token").read_text().strip()
    address = f"http://127.0.0.1:{plant.port}/api/v1/diagnosis/findings"
    query: dict[str, Any] = {"asset": "cnc-01", "level": "machine"}
    answer = httpx2.get(address, params=query, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["findings"]
    return found


def truth(plant: Any) -> dict[str, Any]:
    answer: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{plant.port + 8}/truth/cnc-01", timeout=30).json()
    return answer


def log_in(context: BrowserContext, link: str) -> Page:
    page = context.new_page()
    page.goto(link)
    page.fill("input[name=new-password]", PASSWORD)
    page.fill("input[name=repeat]", PASSWORD)
    page.get_by_role("button", name="Save and continue").click()
    expect(page.locator("header")).to_contain_text("Live", timeout=30_000)
    return page


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--scenario", "bearing"), ()], ids=["bearing", "planted"])
def test_the_outer_ring_is_found_before_it_fails_and_seen_in_both_languages(
    make_plant: Callable[[], Any], wait_until: Any, arguments: tuple[str, ...]
) -> None:
    plant = make_plant()
    plant.start(*arguments)
    link = plant.ready()
    wait_until(lambda: any(each["fault"] == "spindle_bearing_outer" for each in findings(plant)), FOUND_S, plant.told)
    fault = truth(plant)["faults"]["spindle_bearing_outer"]
    assert fault["severity"] < 1.0
    with chromium() as browser:
        context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
        page = log_in(context, link)
        page.get_by_test_id("page-health").click()
        row = page.locator("[data-asset=cnc-01]")
        expect(page.get_by_test_id("planted")).to_have_count(0 if arguments else 1)
        row.get_by_role("link", name=re.compile("outer")).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("outer")
        expect(page.get_by_test_id("spectra")).to_contain_text("Outer ring")
        page.get_by_test_id("language").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("外圈")
        expect(page.get_by_test_id("spectra")).to_contain_text("外圈")
        assert too_wide(page) == {}
        context.close()
    plant.stop()
