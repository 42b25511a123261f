"""How soon a finding is there: by the clock, through the API that gateways write to and people read."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from uuid import uuid4

import numpy as np
import pytest
from starlette.testclient import TestClient

from cloud.auth.rights import Role
from cloud.diagnosis.acquisition import SECOND_NS
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from contract.block import pack
from tests.cloud.chain.bring import block, bring
from tests.cloud.diagnosis.test_verdicts import BEARING, COUNT, RATE_HZ, rattle

pytestmark = pytest.mark.slow

SHAFT_HZ = 60.0
SIGNALS = [{"name": name, "datatype": "double"} for name in ("spindle_speed", "vibration_acceleration")]
SENSOR = {"speed": "spindle_speed", "bearings": [{"outer": 8.1, "inner": 10.9, "ball": 3.6, "cage": 0.43}]}
LATEST_S = 5.0


@pytest.fixture
def spindle(parts: Parts, announce: Callable[..., Announcement], write: Callable[[str], None]) -> str:
    """A spindle that has turned for ten minutes up to now, each second a sample."""
    with parts.sessions.begin() as db:
        learn(db, announce(signals=SIGNALS, sensors={"spindle": SENSOR}))
    now_ns, tags = time.time_ns(), "site=shanghai,area=machining,line=line1,asset=cnc-01"
    random = np.random.default_rng(1)
    lines = [
        f"cnc,{tags} spindle_speed={60 * SHAFT_HZ + random.normal()},vibration_acceleration={random.normal(2.0, 0.1)} "
        f"{now_ns - second * SECOND_NS}"
        for second in range(600)
    ]
    write("\n".join(lines))
    return base64.b64encode(pack(rattle(BEARING.outer, SHAFT_HZ, turns_with_shaft=False).tolist())).decode()


def bring_block(client: TestClient, data: str, start_ns: int) -> None:
    line = block(uuid4().hex, [0.0] * COUNT, sensor="spindle", start_ns=start_ns, rate_hz=RATE_HZ, unit="m/s²")
    assert bring(client, line | {"data": data}) == []


def test_a_finding_is_there_within_5_s_after_the_block_that_completes_its_evidence(
    parts: Parts, client: TestClient, visit: Callable[[Role], TestClient], spindle: str
) -> None:
    viewer = visit(Role.VIEWER)
    for second in (60,):
        bring_block(client, spindle, time.time_ns() - second * SECOND_NS)
    parts.diagnosis.start()

    def found() -> list[str]:
        return [each["fault"] for each in viewer.get("/api/v1/diagnosis/findings?open=true").json()["findings"]]

    def until(truth: Callable[[], object], timeout_s: float) -> float:
        began_s = time.monotonic()
        while not truth() and time.monotonic() - began_s < timeout_s:
            time.sleep(0.05)
        return time.monotonic() - began_s

    until(lambda: parts.diagnosis.runs >= 2, 30)
    assert (found(), parts.diagnosis.failed) == ([], 0)  # one block is too few
    bring_block(client, spindle, time.time_ns() - round(COUNT / RATE_HZ * 1e9))
    took_s = until(found, 30)
    assert found() == ["spindle_bearing_outer"]
    assert took_s <= LATEST_S
