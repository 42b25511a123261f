"""`shopfloor evaluate --recordings` on folders as users have them, and on real recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from shopfloor.commands.evaluate import evaluate
from shopfloor.errors import ConfigurationError
from shopfloor.evaluate.recordings import SHIPPED, Table, evaluate_recordings
from tests.vibration.synthetic import recording
from vibration.bearing import KNOWN, orders

RECORDINGS = Path(__file__).parents[4] / "shared" / "data" / "bearings_cwru"
ROLLERS = orders(16, 8.4, 71.5, 15.0)
DESCRIPTION = """
slice_s: 0.8
rules:
  - name: healthy_.*
    rate_hz: 20000
    rpm: 1500
    orders: {outer: 7.091, inner: 8.909, ball: 4.201, cage: 0.443}
    truth: healthy
  - name: run(?P<rpm>[0-9]+)_(?P<fault>[a-z]+)
    rate_hz: 20000
    orders: {outer: 7.091, inner: 8.909, ball: 4.201, cage: 0.443}
    truths: {aussen: outer, innen: inner}
    array: vibration
"""


def saved(folder: Path, name: str, values: Any, array: str = "x") -> None:
    np.savez(folder / f"{name}.npz", **{array: values.astype(np.float32)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a layout of its own, and a description of it."""
    folder = tmp_path_factory.mktemp("rollers")
    (folder / "recordings.yaml").write_text(DESCRIPTION)
    (folder / "more").mkdir()
    made = {"rate_hz": 20_000.0, "shaft_hz": 25.0, "seconds": 2.5}
    saved(folder, "healthy_1", recording(ROLLERS, None, **made))
    saved(folder, "run1500_aussen", recording(ROLLERS, "outer", **made, seed=2), "vibration")
    saved(folder / "more", "run1490_innen", recording(ROLLERS, "inner", **made, seed=3), "vibration")
    saved(folder, "notes", np.zeros(10))
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    return evaluate_recordings(folder)


def test_each_recording_is_graded_by_the_truth_that_its_rule_says(table: Table) -> None:
    whole = {row.name: (row.truth, row.finding, row.grade) for row in table.rows if row.cut == "whole"}
    assert whole == {
        "healthy_1": ("healthy", None, "right"),
        "run1500_aussen": ("outer", "outer", "right"),
        "run1490_innen": ("inner", "inner", "right"),
    }
    assert table.left_out == ("notes.npz",)


def test_healthy_ones_are_cut_in_tenths_and_all_into_slices_side_by_side(table: Table) -> None:
    counts = table.counts()
    assert {group: count.count for group, count in counts.items()} == {
        "healthy": 1,
        "healthy, tenths": 10,
        "healthy, slices": 3,
        "diagnosable": 2,
        "diagnosable, slices": 6,
    }
    slices = counts["diagnosable, slices"]
    assert slices.right + slices.wrong + slices.abstained + slices.missed == 6


def test_no_share_stands_without_its_interval(table: Table) -> None:
    count = table.counts()["diagnosable"]
    # Wilson's interval of 2 of 2 with 95 %: 0.342 to 1
    assert (count.right, count.right_low, count.right_high) == (2, pytest.approx(0.342, abs=1e-3), 1.0)
    assert "2 of 2 (34% to 100%)" in table.markdown()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("rules: [", "no YAML"),
        ("rules: 5", "rules"),
        ("rules: [{name: '(', truth: healthy}]", "name"),
        ("rules: [{name: '.*', rate_hz: 0}]", "rate_hz"),
        ("rules: [{name: '.*', rate_hz: 10, truth: broken}]", "truth"),
        ("rules: [{name: '.*', rate_hz: 20000, truth: healthy, bearing: '6205'}]", "leaves its rate, rpm"),
        ("rules: [{name: '.*', rate_hz: 20000, rpm: 5, truth: healthy, bearing: x}]", "no bearing 'x' is known"),
        ("rules: [{name: nothing}]", "no recording in"),
    ],
)
def test_a_description_that_cannot_be_used_says_what_is_wrong(
    folder: Path, tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=what):
        evaluate_recordings(folder, tmp_path / "own.yaml")


@pytest.mark.parametrize("key", ["overlap: 0.5", "split: random"])
def test_slices_that_overlap_or_are_drawn_by_lot_are_refused(folder: Path, tmp_path: Path, key: str) -> None:
    (tmp_path / "own.yaml").write_text(f"{DESCRIPTION}{key}\n")
    with pytest.raises(ConfigurationError) as said:
        evaluate_recordings(folder, tmp_path / "own.yaml")
    assert "the same data twice" in said.value.hint


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        evaluate_recordings(tmp_path / "none")


def test_the_layout_that_ships_knows_rates_and_bearings_by_name(tmp_path: Path) -> None:
    # the inner ring of a 6203 has nearly five times the speed of the shaft: the lines part in seconds only
    made = {"shaft_hz": 29.95, "seconds": 4.0}
    saved(tmp_path, "1797_Normal", recording(KNOWN["6205"], None, rate_hz=48_000.0, **made))
    saved(tmp_path, "1797_OR@6_14_DE48", recording(KNOWN["6205"], "outer", rate_hz=48_000.0, **made))
    saved(tmp_path, "1797_IR_14_FE12", recording(KNOWN["6203"], "inner", rate_hz=12_000.0, snr_db=6.0, **made))
    rows = {row.name: (row.truth, row.finding) for row in evaluate_recordings(tmp_path).rows if row.cut == "whole"}
    assert rows == {
        "1797_Normal": ("healthy", None),
        "1797_OR@6_14_DE48": ("outer", "outer"),
        "1797_IR_14_FE12": ("inner", "inner"),
    }


def test_the_command_prints_a_table_or_json(folder: Path) -> None:
    app = typer.Typer()
    app.command()(evaluate)
    shown = CliRunner().invoke(app, ["--recordings", str(folder)])
    assert "| run1500_aussen | outer | outer |" in shown.stdout
    told = json.loads(CliRunner().invoke(app, ["--recordings", str(folder), "--json"]).stdout.splitlines()[-1])
    assert told["counts"]["diagnosable"]["right"] == 2
    assert {row["name"] for row in told["recordings"]} == {"healthy_1", "run1500_aussen", "run1490_innen"}
    assert set(told) == {"recordings", "counts", "plain_rule", "left_out"}


@pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings at ../shared/data/bearings_cwru")
def test_recordings_of_case_western_reserve(tmp_path: Path) -> None:
    # fewer slices than one prints, for the sake of time
    (tmp_path / "own.yaml").write_text(SHIPPED.read_text().replace("slice_s: 1.0", "slice_s: 5.0"))
    counts = evaluate_recordings(RECORDINGS, tmp_path / "own.yaml").counts()
    diagnosable = counts["diagnosable"]
    assert (diagnosable.count, diagnosable.wrong) == (18, 0)
    assert diagnosable.right >= 17
    assert (counts["healthy"].right, counts["healthy"].count) == (1, 1)
    assert counts["healthy, tenths"].wrong == counts["healthy, slices"].wrong == 0
    assert counts["not diagnosable"].count == 2
