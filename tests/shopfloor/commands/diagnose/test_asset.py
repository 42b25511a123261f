"""`shopfloor diagnose asset` and `verify` at a cloud that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import orjson
import pytest

from cloud.parts import Parts
from cloud.registry.announcement import Announcement
from cloud.registry.learn import learn
from tests.cloud.conftest import address, announce, client, parts, schema, settings, write
from tests.cloud.diagnosis.test_service import SIGNALS, Plant, turn

__all__ = ["address", "announce", "client", "parts", "schema", "settings", "write"]


@pytest.fixture
def database_url() -> str:
    """The cloud's own database."""
    return ""


Type = Callable[..., tuple[int, str]]


@pytest.fixture
def type_(address: str, parts: Parts) -> Type:
    """Type a command; return its exit code and what it printed."""
    environ = os.environ | {"SHOPFLOOR_API_URL": address, "SHOPFLOOR_HOME": str(parts.settings.home)}

    def type_(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "shopfloor", "diagnose", *words],
            env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return type_


@pytest.fixture
def plant(parts: Parts, announce: Callable[..., Announcement], write: Callable[[str], None]) -> Plant:
    """A machine that ran well for an hour, and then had little coolant: it was found."""
    with parts.sessions.begin() as db:
        learn(db, announce(signals=SIGNALS))
    plant = Plant(parts, write)
    live = plant.start()
    plant.run(65)
    turn(plant, live)
    for _ in range(6):
        plant.run(5, blocked=0.6)
        turn(plant, live)
    return plant


def test_a_machine_is_explained_at_a_time(plant: Plant, type_: Type) -> None:
    code, said = type_("asset", "cnc-01", "--at", "2026-11-23T09:35:00Z", "--utc")
    assert code == 0, said
    assert "Coolant filter clogged (coolant filter)" in said
    assert "do: Clean or change the filter" in said
    assert "coolant_pressure" in said
    code, said = type_("asset", "cnc-01", "--at", "2026-11-23T09:00:00Z", "--hours", "1", "--json")
    assert (code, orjson.loads(said)["findings"]) == (0, [])
    code, said = type_("asset", "cnc-1")
    assert (code, "did you mean cnc-01?" in said) == (4, True)


def test_findings_are_verified(plant: Plant, type_: Type) -> None:
    (row,) = plant.findings()
    assert type_("verify", "--all") == (0, f"{row.id} the same\n")
    plant.write(f"cnc,site=shanghai,area=machining,line=line1,asset=cnc-01 coolant_flow=11 {row.end_ns - 5 * 10**9}")
    code, said = type_("verify", row.id)
    assert code == 0
    assert said.startswith(f"{row.id} its data have changed since: ")
    assert type_("verify")[0] == 2
    assert type_("verify", "none")[0] == 4
