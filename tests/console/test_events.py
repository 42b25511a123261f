"""The page of events, and what holds of a machine on its page, in a real browser."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import WIDTHS, too_wide

SECOND_NS = 10**9


def alarm(id_: str, ago_s: float = 10.0, asset: str = "cnc-01", **fields: Any) -> dict[str, Any]:
    """Return the line of an event of some seconds ago, as a gateway brings it."""
    time_ns = time.time_ns() - int(ago_s * SECOND_NS)
    said = {"id": id_, "asset": asset, "name": "Coolant low", "time_ns": time_ns} | fields
    return {"kind": "event", "node": "demo:shanghai:machining/line1", "asset": asset, "event": said}


def holds(id_: str, state: str = "active", ago_s: float = 10.0, **fields: Any) -> dict[str, Any]:
    texts = {"en": "Fill up the tank", "zh": "请加注冷却液"}
    return alarm(id_, ago_s, condition="coolant", state=state, severity=700, texts=texts, **fields)


def ids(page: Page) -> list[str]:
    return [str(row.get_attribute("data-event")) for row in page.locator("[data-event]").all()]


def test_events_are_told_in_words_with_what_they_stand_on(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    now_ns = time.time_ns()
    evidence = {"signal": "spindle_load", "start_ns": now_ns - 60 * SECOND_NS, "end_ns": now_ns}
    cloud.bring(
        holds("hot", values={"spindle_load": 91.5}, evidence=[evidence, {"block": "b1", "start_ns": 0, "end_ns": 0}]),
        alarm("part", 20, name="Part finished", texts={"": "fertig"}, values={"code": 4711, "spindle_load": 12.5}),
    )
    visitor.goto(f"{cloud.address}/events")
    row = visitor.locator("[data-event=hot]")
    for text in ("Active", "Medium high 700", "Milling center 1", "Coolant low", "Fill up the tank"):
        expect(row).to_contain_text(text)
    expect(row).to_contain_text(re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"))
    expect(row).to_contain_text("Spindle load 91.5 %")
    part = visitor.locator("[data-event=part]")
    for text in ("fertig", "4711", "Spindle load 12.5 %"):
        expect(part).to_contain_text(text)
    expect(part.get_by_role("link", name="Chart of Spindle load")).to_be_visible()
    expect(visitor.locator("thead")).to_contain_text("Time (UTC+8)")
    expect(row.get_by_role("link", name="Block")).to_have_attribute("href", "/blocks/b1")
    visitor.get_by_test_id("language").click()
    for text in ("活动", "较高 700", "加工中心 1", "请加注冷却液", "主轴负载"):
        expect(row).to_contain_text(text)
    row.get_by_role("link", name="主轴负载趋势图").click()
    expect(visitor.get_by_role("heading", name="加工中心 1")).to_be_visible()
    assert "signals=spindle_load" in visitor.url
    expect(visitor.locator("[data-signal=spindle_load] [role=checkbox]")).to_be_checked()


def test_what_a_machine_says_is_marked_and_what_the_platform_says_is_in_the_language(
    visitor: Page, plant: Any, cloud: Any
) -> None:
    plant.announce("cnc-01", zh="加工中心 1", signals=[{"name": "alarm_code", "datatype": "int32"}])
    facts = {"level": "Fault", "native_code": 4711, "qualifier": "HIGH", "alarm_code": 4711}
    cloud.bring(
        alarm("own", 30, name="Schmierung 4711", texts={"de": "Öl nachfüllen"}, values=facts),
        alarm("two", 20, name="oil", texts={"de": "Öl nachfüllen", "zh": "请加油"}),
        alarm("found", 10, name="bearing_warm", source="bearing_warm", texts={"en": "Drifts", "zh": "数值偏离常态"}),
    )
    visitor.goto(cloud.address)
    visitor.evaluate("localStorage.setItem('shopfloor.locale', 'zh')")
    visitor.goto(f"{cloud.address}/events")
    own, two, found = (visitor.locator(f"[data-event={id_}]") for id_ in ("own", "two", "found"))
    for text in ("Schmierung 4711", "Öl nachfüllen", "机器原文", "等级 故障", "控制器代码 4711", "限值 高"):
        expect(own).to_contain_text(text)
    expect(own).not_to_contain_text("4\u2009711")
    expect(own).not_to_contain_text("液位")
    expect(two.locator("strong")).to_have_text("请加油")
    expect(two).not_to_contain_text("机器原文")
    expect(found.locator("strong")).to_have_text("数值偏离常态")
    expect(found.locator("code")).to_have_text("bearing_warm")
    visitor.get_by_test_id("language").click()
    expect(own).to_contain_text("machine's own words")
    expect(found.locator("strong")).to_have_text("Drifts")


def test_events_come_live_and_what_holds_is_on_the_page_of_the_machine(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01", en="Milling center 1")
    visitor.goto(f"{cloud.address}/events")
    expect(visitor.get_by_test_id("events-empty")).to_contain_text("Nothing has happened yet")
    cloud.bring(alarm("e1", 30))
    expect(visitor.locator("[data-event=e1]")).to_contain_text("Happened")
    cloud.bring(holds("e3", ago_s=10), alarm("e2", 20))
    expect(visitor.locator("[data-event]")).to_have_count(3)
    assert ids(visitor) == ["e3", "e2", "e1"]
    visitor.get_by_test_id("show-active").click()
    expect(visitor.locator("[data-event]")).to_have_count(1)
    cloud.bring(holds("e4", "cleared", ago_s=5))
    expect(visitor.get_by_test_id("events-empty")).to_contain_text("Nothing is active now.")

    visitor.goto(f"{cloud.address}/machines/cnc-01")
    conditions = visitor.get_by_test_id("conditions")
    expect(conditions).to_contain_text("No active conditions")
    cloud.bring(holds("e5", ago_s=2))
    expect(conditions).to_contain_text("Fill up the tank")
    cloud.bring(holds("e6", "cleared", ago_s=1))
    expect(conditions).to_contain_text("No active conditions")
    conditions.get_by_role("link", name="All events of this machine").click()
    expect(visitor.locator("[data-event]")).to_have_count(6)
    expect(visitor.locator("select[name=asset]")).to_have_value("cnc-01")


def test_events_are_filtered_and_gone_through_by_keyboard(visitor: Page, plant: Any, cloud: Any) -> None:
    plant.announce("cnc-01")
    plant.announce("cnc-02", en="Milling center 2")
    cloud.bring(*(alarm(f"e{n:03}", 1000 - n) for n in range(120)), alarm("other", 7000, "cnc-02", severity=850))
    visitor.goto(f"{cloud.address}/events")
    expect(visitor.locator("[data-event]")).to_have_count(50)
    visitor.get_by_test_id("older").focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_text("Page 2")).to_be_visible()
    expect(visitor.locator("[data-event]").first).to_have_attribute("data-event", "e069")
    assert ids(visitor) == [f"e{n:03}" for n in range(69, 19, -1)]
    cloud.bring(alarm("new", 0))
    expect(visitor.get_by_test_id("newest")).to_contain_text("1 new event")
    visitor.get_by_test_id("newest").click()
    expect(visitor.locator("[data-event=new]")).to_be_visible()

    visitor.locator("select[name=asset]").select_option("cnc-02")
    expect(visitor.locator("[data-event]")).to_have_count(1)
    expect(visitor.locator("[data-event=other]")).to_contain_text("High 850")
    visitor.locator("select[name=when]").select_option("3600")
    expect(visitor.get_by_test_id("events-empty")).to_contain_text("No event matches")
    visitor.reload()
    expect(visitor.get_by_test_id("events-empty")).to_contain_text("No event matches")
    visitor.get_by_role("button", name="Clear filters").click()
    visitor.locator("select[name=severity]").select_option("801")
    expect(visitor.locator("[data-event]")).to_have_count(1)


def test_events_that_cannot_be_had_say_what_to_do(visitor: Page, cloud: Any) -> None:
    visitor.goto(cloud.address)
    expect(visitor.locator("header")).to_contain_text("Live")
    visitor.get_by_test_id("page-events").click()
    expect(visitor.get_by_test_id("events-empty")).to_be_visible()
    visitor.route("**/api/v1/events?*", lambda route: route.abort())
    visitor.get_by_test_id("show-active").click()
    expect(visitor.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    visitor.unroute("**/api/v1/events?*")
    visitor.get_by_role("button", name="Try again").click()
    expect(visitor.get_by_test_id("events-empty")).to_contain_text("Nothing is active now.")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_event_is_wider_than_the_screen(visitor: Page, plant: Any, cloud: Any, language: str) -> None:
    plant.announce("cnc-01", en="Milling center with a name that nobody reads at once", zh="名字特别特别长的加工中心")
    plant.announce("robot-01", kind="robot", en="Loading robot", zh="上下料机器人")
    values = {f"signal_of_a_long_name_{n}": "a long text " * 5 for n in range(3)}
    evidence = [{"signal": "a_signal_whose_name_goes_on", "start_ns": 0, "end_ns": SECOND_NS}]
    cloud.bring(
        holds("hot", values={"spindle_load": 91.5}),
        alarm("low", 20, "robot-01", name="Grip missed", condition="grip", state="acknowledged", severity=150),
        alarm(
            "cleared", 25, "robot-01", name="SPINDLE VIBRATION TOO HIGH", condition="v", state="cleared", severity=900
        ),
        alarm("part", 30, name="Part finished"),
        alarm("long", 40, name="n" * 200, texts={"en": "word " * 100}, values=values, evidence=evidence, severity=1000),
    )
    visitor.goto(cloud.address)
    visitor.evaluate("language => localStorage.setItem('shopfloor.locale', language)", language)
    for path in ("/events", "/machines/cnc-01"):
        visitor.goto(cloud.address + path)
        expect(visitor.get_by_text("请加注冷却液" if language == "zh" else "Fill up the tank")).to_be_visible()
        assert too_wide(visitor, 1920, *WIDTHS) == {}, path
    visitor.set_viewport_size({"width": 1280, "height": 844})
    visitor.goto(f"{cloud.address}/events")
    evidence_of = visitor.locator("[data-event=hot] .evidence")
    expect(evidence_of.locator("a")).to_be_visible()
    assert evidence_of.evaluate("cell => cell.clientWidth / parseFloat(getComputedStyle(cell).fontSize)") > 8
