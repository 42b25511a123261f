"""The page of a block: what it is, its course and its spectrum, in a real browser."""

from __future__ import annotations

import base64
import math
import time
from typing import Any

from playwright.sync_api import Page, expect

from contract.block import Header, pack
from tests.browser import too_wide

COUNT = 16_384
RATE_HZ = 25_600.0


def vibration(id_: str, hz: float) -> dict[str, Any]:
    """Return the line of a block with a sine of 3 m/s², as a gateway brings it."""
    numbers = [3 * math.sin(2 * math.pi * hz * n / RATE_HZ) for n in range(COUNT)]
    header = Header.model_validate(
        {
            "id": id_,
            "asset": "cnc-01",
            "sensor": "spindle_vibration",
            "start_ns": time.time_ns(),
            "rate_hz": RATE_HZ,
            "unit": "m/s2",
            "number": "float32",
            "count": COUNT,
        }
    )
    data = base64.b64encode(pack(numbers, "float32")).decode()
    line = {"kind": "block", "node": "demo:shanghai:machining/line1", "asset": "cnc-01"}
    return line | {"header": header.model_dump(), "data": data}


def test_a_block_is_opened_from_its_machine_and_shows_its_course_and_spectrum(
    visitor: Page, plant: Any, cloud: Any
) -> None:
    plant.announce("cnc-01", en="Milling center 1", zh="加工中心 1")
    cloud.bring(vibration("b1", 320 * RATE_HZ / COUNT))  # 500 Hz: one of the frequencies of the spectrum
    visitor.goto(f"{cloud.address}/machines/cnc-01")
    visitor.get_by_test_id("blocks").get_by_role("link").click()
    expect(visitor.get_by_role("heading", name="Spindle vibration of Milling center 1")).to_be_visible()
    facts = visitor.get_by_test_id("block")
    for text in ("0.640 s", "2.12 m/s2", "3 m/s2", "By its period", "until newer ones need its room"):
        expect(facts).to_contain_text(text)
    expect(visitor.get_by_test_id("course")).to_have_attribute("data-points", str(COUNT))
    expect(visitor.get_by_text("greatest at 500 Hz: 3.00 m/s2")).to_be_visible()
    visitor.get_by_test_id("language").click()
    expect(facts).to_contain_text("加工中心 1 · 主轴振动")
    assert too_wide(visitor) == {}


def test_a_block_that_is_gone_says_so(visitor: Page, cloud: Any) -> None:
    visitor.goto(f"{cloud.address}/blocks/b9")
    expect(visitor.get_by_role("alert")).to_contain_text("There is no block b9, or it made room for newer ones.")
