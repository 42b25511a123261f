"""The fault desk in a real browser: what a trainer does reaches simulated machines, and stands beside the belief."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cloud.diagnosis.finding import Report
from simulators import factory as factories
from simulators.factory import Factory
from tests.browser import too_wide
from tests.console.test_findings import COMPUTED, SECOND_NS, outer_ring
from tests.control import controlled

SEEN_MS = 15_000
"""So long a change may take to be on the page on a busy machine; the page asks every 3 s."""


@pytest.fixture
def factory() -> Factory:
    factory = factories.load(seed=5)
    for _ in range(50):
        factory.step(1.0)
    return factory


@pytest.fixture
def control(factory: Factory) -> Iterator[str]:
    with controlled(factory) as url:
        yield url


def put(page: Page, machine: str, fault: str, growth_s: int) -> None:
    form = page.get_by_test_id("inject")
    form.locator("[name=machine]").select_option(machine)
    form.locator("[name=fault]").select_option(fault)
    form.locator("[name=growth]").fill(str(growth_s))
    form.get_by_test_id("put").focus()
    page.keyboard.press("Enter")


def test_truth_stands_beside_belief(visitor: Page, plant: Any, cloud: Any, factory: Factory) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    visitor.goto(cloud.address)
    visitor.get_by_test_id("page-faults").click()
    desk = visitor.get_by_test_id("desk")
    expect(desk).to_contain_text("No machine has a fault, and the platform finds none.")
    visitor.locator("[name=severity]").fill("50")
    put(visitor, "cnc-01", "spindle_bearing_outer", 10)
    expect(visitor.get_by_test_id("done")).to_contain_text("Milling center 1: Spindle bearing, outer race")
    for _ in range(20):
        factory.step(1.0)
    row = desk.locator("[data-asset=cnc-01] [data-verdict]")
    expect(row).to_contain_text("Severity 50 %, developing")
    expect(row).to_have_attribute("data-verdict", "missed")

    now_ns = time.time_ns()
    bounds = {"start_ns": now_ns - 600 * SECOND_NS, "end_ns": now_ns}
    cloud.find(Report(asset="cnc-01", findings=(outer_ring(now_ns),), **bounds), COMPUTED)
    expect(row).to_have_attribute("data-verdict", "right", timeout=SEEN_MS)
    for text in ("found", "Spindle bearing, outer race", "86 % sure", "after its onset"):
        expect(row).to_contain_text(text)
    visitor.get_by_test_id("language").click()
    for text in ("主轴轴承外圈损伤", "已发现", "严重度 50 %，发展中".replace("，", ", ")):
        expect(row).to_contain_text(text)
    desk.get_by_test_id("repair-all").click()
    visitor.get_by_test_id("ask").get_by_role("button", name="全部修复").click()
    expect(row).to_have_attribute("data-verdict", "alarm", timeout=SEEN_MS)
    assert factory.machines["cnc-01"].faults["spindle_bearing_outer"].onset_s is None


def test_sensors_links_and_scenarios(visitor: Page, plant: Any, cloud: Any, factory: Factory) -> None:
    plant.announce("cnc-01", en="Milling center 1")
    visitor.goto(f"{cloud.address}/faults")
    visitor.get_by_test_id("kind-sensor").click()
    visitor.locator("[name=signal]").select_option("head_temperature")
    visitor.get_by_test_id("put").click()
    visitor.get_by_test_id("kind-link").click()
    visitor.locator("[name=mode]").select_option("loss")
    visitor.get_by_test_id("put").click()
    rows = visitor.locator("[data-asset=cnc-01] [data-verdict]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Drifts: Head temperature")
    expect(rows.last).to_contain_text("Loses messages")
    assert factory.machines["cnc-01"].sensor_faults["head_temperature"].mode == "drift"

    tool = visitor.locator("[data-scenario=tool]")
    tool.get_by_role("button", name="Begin").click()
    expect(tool).to_contain_text("runs")
    tool.get_by_role("button", name="End").click()
    expect(tool.get_by_role("button", name="Begin")).to_be_enabled()
    expect(visitor.locator("[data-scenario=air_leak] button")).to_be_disabled()
    expect(visitor.locator("[data-scenario=air_leak]")).to_contain_text("this factory has no compressor-01")


def test_the_planted_fault_is_told_with_how_to_leave_it_out(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    for address in ("/health", "/findings"):
        visitor.goto(f"{cloud.address}{address}")
        planted = visitor.get_by_test_id("planted")
        for text in ("planted fault", "Spindle bearing, outer race", "Milling center 1", "--no-fault"):
            expect(planted).to_contain_text(text)
    visitor.get_by_test_id("language").click()
    for text in ("预埋了故障", "主轴轴承外圈损伤", "加工中心 1"):
        expect(planted).to_contain_text(text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_desk_is_no_wider_than_the_screen(
    visitor: Page, plant: Any, cloud: Any, factory: Factory, language: str
) -> None:
    plant.announce("cnc-01", en="Milling center with a name that nobody reads at once", zh="名字特别特别长的加工中心")
    for code in ("spindle_bearing_outer", "coolant_filter"):
        factory.machines["cnc-01"].inject(code, None, 10.0)
    factory.step(20.0)
    visitor.goto(cloud.address)
    visitor.evaluate(f"localStorage.setItem('shopfloor.locale', '{language}')")
    for address in ("/faults", "/health"):
        visitor.goto(f"{cloud.address}{address}")
        expect(visitor.get_by_role("heading").first).to_be_visible()
        assert too_wide(visitor) == {}, address
