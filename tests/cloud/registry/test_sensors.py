"""What stands behind the sensors of a machine is known as its edge node announced it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from cloud.parts import Parts
from cloud.registry.announcement import Announcement, AnnouncementError, read_announcement
from cloud.registry.learn import learn
from contract.topics import UnsTopic

BEARING = {"name": "front", "type": "7014C", "outer": 8.2, "inner": 10.8, "ball": 3.5, "cage": 0.43}


def test_bearings_are_kept_until_they_are_announced_otherwise(
    viewer: TestClient, parts: Parts, announce: Callable[..., Announcement]
) -> None:
    assert viewer.get("/api/v1/assets/cnc-01").json()["sensors"] == {}
    spindle = {"speed": "spindle_speed", "rpm": 0.0, "bearings": [BEARING]}
    for said, kept in (
        ({"spindle": {"speed": "spindle_speed", "bearings": [BEARING | {"of_later": 1}]}}, {"spindle": spindle}),
        ({"spindle": {"rpm": 2910.0}}, {"spindle": {"speed": "", "rpm": 2910.0, "bearings": []}}),
        ({}, {}),
    ):
        with parts.sessions.begin() as db:
            learn(db, announce(sensors=said))
        assert viewer.get("/api/v1/assets/cnc-01").json()["sensors"] == kept


def test_an_announcement_says_which_fact_is_wrong(announce: Callable[..., Announcement]) -> None:
    said = announce().model_dump(mode="json") | {"sensors": {"spindle": {"bearings": [BEARING | {"ball": 0}]}}}
    topic = UnsTopic("demo", "shanghai", "machining", "line1", "cnc-01", "info")
    payload = Announcement.model_construct(**said).model_dump_json(warnings=False).encode()
    with pytest.raises(AnnouncementError, match=r"sensors.spindle.bearings.0.ball: .*greater than 0"):
        read_announcement(topic, payload)
