"""Health and findings in a real browser, before a real cloud with what a diagnosis has written down."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from cloud.diagnosis.acquisition import Source
from cloud.diagnosis.finding import Evidence, Finding, Life, Report
from cloud.diagnosis.findings import Computed
from cloud.diagnosis.window import Measured, Subject
from contract.block import Header, pack
from tests.browser import WIDTHS, too_wide
from tests.console.conftest import wait_until

SECOND_NS = 10**9
RATE_HZ = 25_600.0
BEARING = {"name": "front", "type": "7014C", "outer": 8.2, "inner": 10.8, "ball": 3.5, "cage": 0.43}
SENSORS = {"spindle_vibration": {"speed": "spindle_speed", "bearings": [BEARING]}}
COMPUTED = Computed(
    step_s=10.0,
    fleet=(),
    subject=Source(Subject("cnc-01", "cnc", {"spindle_load": Measured("%")})).json(),
    blocks=(),
    data="0" * 32,
)


def block(id_: str, start_ns: int, rpm: float) -> dict[str, Any]:
    """Return the line of a block with knocks of the outer ring at a speed, as a gateway brings it."""
    t = np.arange(16_384) / RATE_HZ
    knocks = np.mod(t, 60 / rpm / BEARING["outer"])
    numbers = 20 * np.exp(-knocks * 900) * np.sin(2 * np.pi * 4500 * knocks)
    facts = {"id": id_, "asset": "cnc-01", "sensor": "spindle_vibration", "start_ns": start_ns, "rate_hz": RATE_HZ}
    header = Header.model_validate(facts | {"unit": "m/s2", "number": "float32", "count": len(numbers)})
    data = base64.b64encode(pack([float(each) for each in numbers], "float32")).decode()
    line = {"kind": "block", "node": "demo:shanghai:machining/line1", "asset": "cnc-01"}
    return line | {"header": header.model_dump(), "data": data}


def outer_ring(now_ns: int, **changes: Any) -> Finding:
    load = {"signal": "spindle_load", "unit": "%", "start_ns": now_ns - 1800 * SECOND_NS, "end_ns": now_ns}
    said = {
        "fault": "spindle_bearing_outer",
        "component": "spindle front bearing",
        "level": "machine",
        "rule": "spindle_bearing_outer",
        "version": 1,
        "confidence": 0.86,
        "urgency": "days",
        "since_ns": now_ns - 1800 * SECOND_NS,
        "evidence": (
            Evidence(what="line", sensor="spindle_vibration", block="b2", weight=4.0),
            Evidence(what="above", value=62.0, expected=40.0, sigmas=11.0, weight=2.0, **load),
        ),
        "against": (Evidence(what="usual", signal="spindle_speed", weight=-1.0),),
        "life": Life(hours=30.0, low_hours=12.0, high_hours=80.0),
    }
    return Finding.model_validate(said | changes)


def drift(now_ns: int) -> Finding:
    evidence = (Evidence(what="alone", signal="spindle_load", weight=2.5),)
    return outer_ring(
        now_ns, fault="sensor_drift", component="spindle_load", level="sensor", rule="sensor_drift", confidence=0.2,
        urgency="weeks", evidence=evidence, against=(), life=None,
    )  # fmt: skip


@pytest.fixture
def found(plant: Any, cloud: Any) -> str:
    """A machine with two hours of data, two blocks at two speeds, and a finding; return its id."""
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1", sensors=SENSORS)
    plant.announce("robot-01", kind="robot", en="Loading robot", zh="上下料机器人")
    now_ns = time.time_ns() // (10 * SECOND_NS) * 10 * SECOND_NS
    lines = []
    for minute in range(120):
        time_ns = now_ns - (120 - minute) * 60 * SECOND_NS
        load, rpm = 40 + (22 if minute > 90 else 0) + minute % 3, 6000 if minute < 100 else 9000
        tags = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
        lines.append(f"{tags} spindle_load={load},spindle_speed={rpm} {time_ns}")
    cloud.write("\n".join(lines))
    cloud.bring(block("b1", now_ns - 1800 * SECOND_NS, 6000), block("b2", now_ns - 120 * SECOND_NS, 9000))
    cnc = Report(
        asset="cnc-01", start_ns=now_ns - 7200 * SECOND_NS, end_ns=now_ns, findings=(outer_ring(now_ns), drift(now_ns))
    )
    (id_,) = cloud.find(cnc, COMPUTED)
    return str(id_)


def test_a_finding_says_what_how_sure_why_and_what_to_do(visitor: Page, cloud: Any, found: str) -> None:
    visitor.goto(f"{cloud.address}/findings")
    row = visitor.locator(f"[data-finding='{found}']")
    for text in ("Milling center 1", "86 %", "Within days", "1 d 6 h"):
        expect(row).to_contain_text(text)
    row.get_by_role("link").first.focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_role("heading", level=1)).to_contain_text("Spindle bearing")
    expect(visitor.get_by_test_id("sure")).to_have_text("86 % sure")
    advice = visitor.get_by_test_id("advice")
    for text in ("Within days", "1 d 6 h (12 h to 3 d 8 h)", "Spare part", "Safety"):
        expect(advice).to_contain_text(text)
    for text in ("a line at the frequency of this fault", "Spindle load: above what is usual", "62 % instead of 40 %"):
        expect(visitor.get_by_test_id("for")).to_contain_text(text)
    expect(visitor.get_by_test_id("against")).to_contain_text("Spindle speed: as usual")
    expect(visitor.get_by_test_id("explanations").locator("li")).to_have_count(2)
    expect(visitor.get_by_test_id("explanations").locator("li").last).to_contain_text("Sensor drift")
    expect(visitor.locator("[data-signal=spindle_load]")).to_have_attribute("data-points", re.compile(r"[1-9]\d"))
    visitor.get_by_test_id("language").click()
    for text in ("主轴轴承外圈", "加工中心 1", "主轴负载：高于常态", "数天内"):
        expect(visitor.locator("main")).to_contain_text(text)


def test_the_lines_of_a_fault_follow_the_speed(visitor: Page, cloud: Any, found: str) -> None:
    visitor.goto(f"{cloud.address}/findings/{found}")
    spectra = visitor.get_by_test_id("spectra")
    expect(spectra.get_by_test_id("rpm")).to_have_text("9\u2009000 rpm")
    expect(spectra).to_contain_text("Outer ring 1\u2009230 Hz (8.20 × shaft)")
    expect(spectra.get_by_test_id("envelope")).to_be_visible()
    spectra.get_by_test_id("earlier").click()
    expect(spectra.get_by_test_id("rpm")).to_have_text("6\u2009000 rpm")
    expect(spectra).to_contain_text("Outer ring 820.0 Hz")
    expect(spectra.get_by_test_id("earlier")).to_be_disabled()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_lines_of_two_bearings_are_told_apart(
    visitor: Page, plant: Any, cloud: Any, found: str, language: str
) -> None:
    rear = BEARING | {"name": "rear", "type": "7010C", "outer": 8.6}
    plant.announce("cnc-01", sensors={"spindle_vibration": {"speed": "spindle_speed", "bearings": [BEARING, rear]}})
    wait_until(lambda: "rear" in visitor.request.get(f"{cloud.address}/api/v1/diagnosis/blocks/b2/envelope").text(), "")
    visitor.goto(cloud.address)
    visitor.evaluate(f"localStorage.setItem('shopfloor.locale', '{language}')")
    visitor.goto(f"{cloud.address}/findings/{found}")
    lines = visitor.get_by_test_id("spectra").locator(".lines li")
    expect(lines).to_have_count(9)
    front, back = [("Front bearing: Outer ring", "Rear bearing: Outer ring"), ("前端轴承：外圈", "后端轴承：外圈")][
        language == "zh"
    ]
    expect(lines.filter(has_text=front)).to_have_class("own")
    expect(lines.filter(has_text=back)).to_have_count(1)
    expect(visitor.locator(".lines .own")).to_have_count(1)
    assert too_wide(visitor, 1920, *WIDTHS) == {}


def test_what_people_say_of_a_finding_is_counted_once(visitor: Page, cloud: Any, found: str) -> None:
    visitor.goto(f"{cloud.address}/findings/{found}")
    feedback = visitor.get_by_test_id("feedback")
    feedback.locator("[name=comment]").fill("outer ring spalled")
    feedback.get_by_test_id("confirmed").click()
    expect(feedback).to_contain_text("Noted: Confirmed.")
    expect(feedback.get_by_test_id("said")).to_have_text("1 confirmed, 0 wrong, 0 not useful")
    feedback.get_by_test_id("wrong").click()
    expect(feedback.get_by_test_id("said")).to_have_text("0 confirmed, 1 wrong, 0 not useful")


def test_health_has_the_worst_first_and_a_machine_its_own(visitor: Page, cloud: Any, found: str) -> None:
    visitor.goto(f"{cloud.address}/health")
    rows = visitor.get_by_test_id("health").locator("[data-asset]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Milling center 1")
    expect(rows.first).to_contain_text("Plan a repair")
    expect(rows.last).to_contain_text("Unknown")
    expect(rows.last).to_contain_text("not looked at yet")
    expect(visitor.get_by_test_id("planted")).to_have_count(0)
    rows.first.get_by_role("link").first.click()
    health = visitor.get_by_test_id("machine-health")
    expect(health).to_contain_text("86 % sure")
    health.get_by_role("link", name=re.compile("Spindle bearing")).click()
    expect(visitor.get_by_test_id("finding")).to_be_visible()


def test_the_overview_leads_to_what_is_found(visitor: Page, cloud: Any, found: str) -> None:
    visitor.goto(cloud.address)
    link = visitor.get_by_test_id("open-findings")
    expect(link).to_have_text("1 machine with findings")
    expect(visitor.get_by_text("All machines normal")).to_have_count(0)
    link.click()
    expect(visitor.get_by_role("heading", name="Findings")).to_be_visible()


def test_findings_are_filtered_by_keyboard_and_the_address(visitor: Page, cloud: Any, found: str) -> None:
    visitor.goto(f"{cloud.address}/findings?asset=robot-01")
    expect(visitor.get_by_test_id("findings-empty")).to_contain_text("Nothing is open")
    visitor.locator("select[name=asset]").select_option("cnc-01")
    expect(visitor.locator("[data-finding]")).to_have_count(1)
    visitor.locator("select[name=level]").select_option("sensor")
    visitor.get_by_test_id("show-all").focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_test_id("findings-empty")).to_contain_text("Nothing was found")
    assert {"asset=cnc-01", "level=sensor", "show=all"} <= set(visitor.url.partition("?")[2].split("&"))


def test_a_finding_that_is_gone_says_so(visitor: Page, cloud: Any) -> None:
    visitor.goto(f"{cloud.address}/findings/none-such")
    expect(visitor.get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_wider_than_the_screen(visitor: Page, cloud: Any, found: str, language: str) -> None:
    visitor.goto(cloud.address)
    visitor.evaluate(f"localStorage.setItem('shopfloor.locale', '{language}')")
    for address in ("/health", "/findings", f"/findings/{found}", "/machines/cnc-01"):
        visitor.goto(f"{cloud.address}{address}")
        expect(visitor.get_by_role("heading").first).to_be_visible()
        assert too_wide(visitor) == {}, address
