"""How fast a shaft turned during a block: between two entries of a grid it may have changed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from cloud.diagnosis.acquisition import Bounds, read_window, source_of
from cloud.diagnosis.speed import Speed, speed_of
from cloud.diagnosis.window import Bearing
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from cloud.registry.tables import AssetRow
from cloud.telemetry.store import Store
from contract.block import Header
from tests.cloud.chain.bring import block, bring
from tests.cloud.diagnosis.test_acquisition import TAGS, at

BEARING = Bearing(3.6, 5.4, 2.4, 0.4, speed_signal="spindle_speed")


def header(second: float) -> Header:
    return Header(id="b1", asset="cnc-01", sensor="vibration", start_ns=at(second), rate_hz=1000.0, count=640)


@pytest.mark.parametrize(
    ("second", "speed"),
    [(10.0, Speed(1000.0)), (30.0, Speed(5500.0)), (24.5, Speed(5500.0, 4500 / 5500)), (100.0, None)],
)
def test_the_speed_is_what_held_during_the_block(store: Store, second: float, speed: Speed | None) -> None:
    store.write("\n".join(f"{TAGS} spindle_speed={rpm} {at(s)}" for s, rpm in ((9, 1000), (25, 5500))).encode())
    assert speed_of(store, header(second), BEARING) == speed


def test_a_speed_that_does_not_change_needs_no_signal(store: Store) -> None:
    assert speed_of(store, header(0), Bearing(3.6, 5.4, 2.4, 0.4, rpm=1797.0)) == Speed(1797.0)
    assert speed_of(store, header(0), Bearing(3.6, 5.4, 2.4, 0.4)) is None


def test_a_window_has_the_speeds_of_its_blocks(
    parts: Parts, client: TestClient, announce: Callable[..., Announcement], write: Callable[[str], None]
) -> None:
    orders = {"outer": 3.6, "inner": 5.4, "ball": 2.4, "cage": 0.4}
    with parts.sessions.begin() as db:
        learn(db, announce(sensors={"vibration": {"speed": "spindle_speed", "bearings": [orders]}}))
    write("\n".join(f"{TAGS} spindle_speed={rpm} {at(second)}" for second, rpm in ((0, 1000), (12, 5500))))
    bring(client, block("b1", [1.0] * 9, 5), block("b2", [1.0] * 500, 11.8), block("b3", [1.0] * 9, 15))
    with parts.sessions() as db:
        row = db.get(AssetRow, "cnc-01")
        assert row is not None
        window = read_window(db, parts.store, parts.blocks, source_of(row), Bounds(at(0), at(60)))
    assert (window.speeds["b1"], window.speeds["b3"]) == (1000.0, 5500.0)
    assert math.isnan(window.speeds["b2"])
