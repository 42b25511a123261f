"""Machines that are not ours: without a state, with odd names, gone, retired, deleted."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import too_wide

PRESS = [
    {"name": "force", "datatype": "double", "unit": "kN", "low": 0, "high": 40},
    {"name": "level", "datatype": "double", "unit": "%", "low": 0, "high": 100, "deadband": 0.1},
    {"name": "server_time", "datatype": "datetime"},
    {"name": "b", "datatype": "double"},
]
LONG = "press-" + "of-the-long-name-" * 3 + "end"


def test_a_machine_without_a_state_has_a_chart_and_nothing_red(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("press-1", kind="press", signals=PRESS, en="Press 1", zh="压力机 1")
    plant.say("press-1", force=21.456789, level=100.4, b=3.0, server_time=time.time_ns() // 1_000_000)
    now_ns = time.time_ns()
    place = "site=shanghai,area=machining,line=line1,asset=press-1"
    cloud.write("\n".join(f"press,{place} force={20 + n % 5}.0 {now_ns - n * 10**9}" for n in range(1, 60)))
    visitor.goto(cloud.address)
    expect(visitor.get_by_test_id("tile-press-1")).to_contain_text("Connected")
    visitor.goto(f"{cloud.address}/machines/press-1")
    expect(visitor.get_by_test_id("chart")).not_to_have_attribute("data-points", "0")
    expect(visitor.locator("[data-signal=force]")).to_contain_text("21.46")
    expect(visitor.locator("[data-signal=server_time]")).to_contain_text(re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"))
    expect(visitor.locator("[data-signal=level] .value")).not_to_have_class(re.compile("out"))
    expect(visitor.get_by_role("alert")).to_have_count(0)
    expect(visitor.get_by_test_id("band")).to_have_count(0)


def test_a_value_that_was_said_once_is_a_point(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("furnace-1", kind="furnace", signals=[{"name": "temperature", "datatype": "double", "unit": "°C"}])
    plant.say("furnace-1", temperature=851.5)
    visitor.goto(f"{cloud.address}/machines/furnace-1")
    expect(visitor.get_by_test_id("chart")).not_to_have_attribute("data-points", "0")
    expect(visitor.get_by_text("No data in this time range")).to_be_hidden()


@pytest.mark.parametrize(
    ("signal", "word", "shown"), [("Status", "warming up", "warming up"), ("mode", "idle", "Ready")]
)
def test_the_state_is_that_of_the_signal_that_tells_it(
    visitor: Page, plant: Any, cloud: Any, signal: str, word: str, shown: str
) -> None:
    plant.announce("oven-1", kind="oven", signals=[{"name": signal, "datatype": "string"}])
    plant.say("oven-1", **{signal: word})
    now_ns = time.time_ns()
    place = "site=shanghai,area=machining,line=line1,asset=oven-1"
    cloud.write(f'oven_text,{place} {signal}="{word}" {now_ns - 10**11}')
    visitor.goto(f"{cloud.address}/machines/oven-1")
    expect(visitor.get_by_test_id("machine-head")).to_contain_text(shown)
    expect(visitor.get_by_test_id("band")).to_contain_text(word, ignore_case=True)


def test_a_machine_that_is_gone_says_why(visitor: Page, plant: Any, cloud: Any) -> None:
    reason = {"reason_code": "edge_died", "reason": "its edge node has gone", "do": "see whether the edge runs"}
    plant.announce("press-1", kind="press", signals=PRESS, online=False, **reason)
    visitor.goto(f"{cloud.address}/machines/press-1")
    why = visitor.get_by_test_id("why")
    expect(why).to_contain_text("its edge node has gone")
    expect(why).to_contain_text("see whether the edge runs")
    visitor.get_by_test_id("language").click()
    expect(why).to_contain_text("为何离线")
    expect(why).to_contain_text("边缘节点已断开")


def test_a_machine_that_is_gone_is_retired_comes_back_and_is_deleted(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("press-1", kind="press", signals=PRESS, en="Press 1")
    plant.announce("press-2", kind="press", signals=PRESS)
    visitor.goto(f"{cloud.address}/machines/press-1")
    menu = visitor.get_by_test_id("machine-menu").get_by_role("button")
    menu.click()
    expect(visitor.get_by_test_id("retire")).to_be_disabled()
    expect(visitor.get_by_test_id("delete")).to_be_disabled()
    expect(visitor.get_by_role("menu")).to_contain_text("Possible when it is offline")
    visitor.keyboard.press("Escape")

    dialog = visitor.get_by_test_id("ask")
    plant.announce("press-1", kind="press", signals=PRESS, online=False, en="Press 1")
    expect(visitor.get_by_test_id("machine-head")).to_contain_text("Offline")
    menu.click()
    visitor.get_by_test_id("retire").click()
    dialog.get_by_role("button", name="Retire").click()
    expect(visitor.get_by_test_id("machine-head")).to_contain_text("Retired")
    visitor.goto(cloud.address)
    expect(visitor.get_by_test_id("tile-press-2")).to_be_visible()
    expect(visitor.get_by_test_id("tile-press-1")).to_be_hidden()

    visitor.goto(f"{cloud.address}/retired")
    expect(visitor.get_by_test_id("retired")).to_contain_text("Press 1")
    visitor.get_by_role("button", name="Bring back").click()
    expect(visitor.get_by_text("No machine is retired.")).to_be_visible()
    visitor.goto(f"{cloud.address}/machines/press-1")
    menu.click()
    visitor.get_by_test_id("delete").click()
    delete = dialog.get_by_role("button", name="Delete")
    expect(delete).to_be_disabled()
    dialog.get_by_role("textbox").fill("press-2")
    expect(delete).to_be_disabled()
    dialog.get_by_role("textbox").fill("press-1")
    delete.click()
    expect(visitor.get_by_role("heading", name="Plant overview")).to_be_visible()
    expect(visitor.get_by_test_id("tile-press-2")).to_be_visible()
    visitor.goto(f"{cloud.address}/machines/press-1")
    expect(visitor.get_by_text("There is no machine “press-1”")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_wider_than_the_screen(visitor: Page, plant: Any, cloud: Any, language: str) -> None:
    wide = [
        {"name": "throughput", "datatype": "double", "unit": "kg per hour and square meter", "low": 0, "high": 100},
        {"name": "a_signal_of_the_longest_name_that_anybody_may_give_it", "datatype": "string"},
    ]
    plant.announce(LONG, kind="press", line="a-line-whose-name-goes-on-and-on", signals=wide)
    plant.announce("cnc-01", en="Milling center with a name that nobody reads at once", zh="名字特别特别长的加工中心")
    plant.say(LONG, throughput=55.5, a_signal_of_the_longest_name_that_anybody_may_give_it="a long text " * 12)
    plant.say("cnc-01", execution="ACTIVE", spindle_speed=1200.0, program="PROGRAMS/OF/A/LONG/PATH/O1001.NC")
    visitor.goto(cloud.address)
    visitor.evaluate("language => localStorage.setItem('shopfloor.locale', language)", language)
    for view in ("tiles", "list"):
        visitor.evaluate("view => localStorage.setItem('shopfloor.view', view)", view)
        visitor.goto(cloud.address)
        expect(visitor.get_by_text("Milling center" if language == "en" else "加工中心").first).to_be_visible()
        assert too_wide(visitor) == {}
    for path in (f"/machines/{LONG}", "/machines/cnc-01", "/users", "/tokens", "/password", "/retired"):
        visitor.goto(cloud.address + path)
        expect(visitor.locator("main h1, main [data-testid=machine-head]").first).to_be_visible()
        if path.startswith("/machines"):
            expect(visitor.get_by_test_id("signals")).to_be_visible()
        assert too_wide(visitor) == {}, path
