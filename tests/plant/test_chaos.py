"""Short chaos runs, as a user would start them: a few faults of a fixed seed, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.plant.conftest import SHOPFLOOR

pytestmark = pytest.mark.e2e

# no need of root or libfaketime, and nothing restarts that takes its time on a busy machine
FAULTS = "store-error,link-cut,broker-wiped,burst,poison"


def chaos(make_plant: Callable[[], Any], *options: str) -> Any:
    """Return the report of a run that must be well."""
    command = [str(SHOPFLOOR), "chaos", "--json", *options]
    done = subprocess.run(command, env=make_plant().environ, capture_output=True, text=True, timeout=420, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report["findings"] or report["faults"]
    assert report["wrong"] == {}
    assert report["missing_numbers"] == {}
    assert report["equal"] > 1000
    assert report["faults"]
    return report


def test_nothing_is_lost_in_a_short_chaos_run(make_plant: Callable[[], Any]) -> None:
    chaos(make_plant, "--seed", "3", "--seconds", "20", "--faults", FAULTS)


def test_odd_inputs_are_told_and_harm_nothing_else(make_plant: Callable[[], Any]) -> None:
    report = chaos(make_plant, "--world", "--seed", "2", "--rounds", "1")
    assert len(report["odd"]) == 33
    assert report["explained"].keys() <= {"world-restart", "world-put-back"}
