"""The same diagnosis whatever keeps the samples and the rows: what is found comes out again byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.diagnosis.recompute import Stored, verify
from cloud.diagnosis.tables import FindingRow
from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from cloud.settings import Settings
from tests.cloud.conftest import settings_in
from tests.cloud.diagnosis.test_service import SIGNALS, Plant, turn


@pytest.fixture
def settings(
    tmp_path: Path, database_url: str, schema: Path, influxdb: str, influxdb_bucket: tuple[str, str]
) -> Settings:
    token, bucket = influxdb_bucket
    made = settings_in(tmp_path, schema)
    (tmp_path / "secrets" / "store-token").write_text(token)
    return made.model_copy(update={"database_url": database_url, "telemetry": influxdb, "store_bucket": bucket})


def test_what_is_found_with_influxdb_comes_out_again(parts: Parts, announce: Callable[..., Announcement]) -> None:
    with parts.sessions.begin() as db:
        learn(db, announce(signals=SIGNALS))

    def write(lines: str) -> None:
        parts.store.write(lines.encode())

    plant = Plant(parts, write)
    live = plant.start()
    plant.run(65)
    turn(plant, live)
    assert (plant.baselines(), live.failed) == (1, 0)
    for _ in range(5):
        plant.run(5, blocked=0.6)
        turn(plant, live)
    (found,) = plant.findings()
    assert (found.fault, live.failed) == ("coolant_filter", 0)
    with parts.sessions() as db:
        row = db.get(FindingRow, found.id)
        assert row is not None
        assert verify(db, Stored(parts.store, parts.blocks, live.baselines), row) == ("available", True, True, [])
