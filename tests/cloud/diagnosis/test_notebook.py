"""docs/notebooks/bearing.ipynb, cell by cell, at a cloud that runs: it finds the ring that is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from starlette.testclient import TestClient

from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from tests.cloud.chain.bring import NOON_NS, block, bring

PAGE = Path(__file__).parents[3] / "docs" / "notebooks" / "bearing.ipynb"
BEARING = {"outer": 3.585, "inner": 5.415, "ball": 2.357, "cage": 0.3983}
RATE_HZ = 12_800.0


def vibration(strikes_hz: float) -> list[float]:
    """Return two seconds of a structure that rings at each strike, with noise; strikes slip by up to 1 %."""
    rng = np.random.default_rng(16)
    times = np.arange(25_600) / RATE_HZ
    values = rng.normal(0.0, 0.3, len(times))
    at = 0.0
    while at < times[-1]:
        since = times - at
        ring = np.exp(-np.clip(since, 0, 1) * 900) * np.sin(2 * np.pi * 3200 * since)
        values += np.where(since >= 0, ring, 0.0)
        at += (1 + rng.normal(0.0, 0.005)) / strikes_hz
    return [float(value) for value in values]


@pytest.mark.parametrize("part", ["outer", "inner"])
def test_the_notebook_leads_to_the_damaged_ring(
    part: str, address: str, client: TestClient, parts: Parts, announce: Callable[..., Announcement],
    write: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with parts.sessions.begin() as db:
        learn(db, announce(sensors={"vibration": {"speed": "spindle_speed", "bearings": [BEARING]}}))
    write(f"cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 spindle_speed=1800 {NOON_NS - 10**9}")
    bring(client, block("b1", vibration(BEARING[part] * 30), rate_hz=RATE_HZ))
    monkeypatch.setenv("SHOPFLOOR_API_URL", address)
    monkeypatch.setenv("SHOPFLOOR_HOME", str(parts.settings.home))
    page = orjson.loads(PAGE.read_bytes())
    names: dict[str, Any] = {}
    for cell in page["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{PAGE.name} {cell['id']}", "exec"), names)
    assert names["verdict"].finding == part
    assert max(BEARING, key=names["heights"].__getitem__) == part
    assert "1800 rpm" in capsys.readouterr().out


def test_the_notebook_is_kept_without_what_it_printed() -> None:
    page = orjson.loads(PAGE.read_bytes())
    assert (page["nbformat"], page["nbformat_minor"]) == (4, 5)
    assert [cell["id"] for cell in page["cells"] if cell.get("outputs")] == []
