"""`shopfloor diagnose bearing` on files as users have them, and on real recordings."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from shopfloor.commands.diagnose import app
from shopfloor.errors import ConfigurationError
from tests.vibration.synthetic import recording
from vibration.bearing import KNOWN

RECORDINGS = Path(__file__).parents[5] / "shared" / "data" / "bearings_cwru"
STATED = ("--rate", "12000", "--rpm", "1797", "--bearing", "6205")
DAMAGED = recording(KNOWN["6205"], "outer", rate_hz=12_000, shaft_hz=29.95, seconds=2.0)


def diagnosed(file: Path, *words: str) -> dict[str, Any]:
    """Return the object on the last line of what the command prints; what it raises is raised."""
    result = CliRunner().invoke(app, ["bearing", str(file), *words, "--json"], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def saved(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    return saved(tmp_path / "damaged.npz", x=DAMAGED.astype(np.float32))


def test_a_damaged_outer_ring_is_found_with_its_lines(damaged: Path) -> None:
    found = diagnosed(damaged, *STATED)
    assert (found["finding"], found["abstained"]) == ("outer", False)
    assert 0.7 <= found["confidence"] <= 1.0
    assert found["evidence"][0]["name"] == "outer"
    assert found["evidence"][0]["order"] == pytest.approx(3.585, rel=0.025)
    assert found["seconds"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "bearing",
    [
        ("--bearing", "6205-2RS JEM"),
        ("--bpfo", "3.5848", "--bpfi", "5.4152"),
        ("--bpfo", "3.5848", "--bpfi", "5.4152", "--bsf", "2.357", "--ftf", "0.398"),
        ("--balls", "9", "--ball-mm", "7.94", "--pitch-mm", "39.04"),
    ],
)
def test_a_bearing_is_told_in_any_of_three_ways(damaged: Path, bearing: tuple[str, ...]) -> None:
    found = diagnosed(damaged, "--rate", "12000", "--rpm", "1797", *bearing)
    assert found["finding"] == "outer"
    assert found["bearing"] == pytest.approx({"outer": 3.585, "inner": 5.415, "ball": 2.357, "cage": 0.398}, abs=1e-3)


def test_a_list_that_has_twice_the_spin_of_a_ball_is_understood(damaged: Path) -> None:
    words = ("--rate", "12000", "--rpm", "1797", "--bpfo", "3.5848", "--bpfi", "5.4152", "--bsf", "4.7135")
    assert diagnosed(damaged, *words)["bearing"]["ball"] == pytest.approx(2.357, abs=1e-3)


def test_without_json_it_explains(damaged: Path) -> None:
    result = CliRunner().invoke(app, ["bearing", str(damaged), *STATED])
    assert "outer ring damaged, confidence" in result.stdout
    assert "what to do: plan to change the bearing" in result.stdout


def test_numbers_of_any_kind_and_scale_give_the_same_verdict(tmp_path: Path) -> None:
    counts = (DAMAGED / np.abs(DAMAGED).max() * 20_000).astype(np.int16)
    np.save(tmp_path / "counts.npy", counts[:, None])
    files = [
        tmp_path / "counts.npy",
        saved(tmp_path / "a.npz", x=counts),
        saved(tmp_path / "b.npz", only=DAMAGED * 1e-9),
        saved(tmp_path / "c.npz", x=DAMAGED * 1e9, other=np.zeros(3)),
    ]
    for file in files:
        assert diagnosed(file, *STATED)["finding"] == "outer", file


def test_one_of_several_arrays_is_named(tmp_path: Path) -> None:
    file = saved(tmp_path / "several.npz", drive_end=DAMAGED, fan_end=np.zeros(5000))
    with pytest.raises(ConfigurationError, match="several arrays and no x") as said:
        diagnosed(file, *STATED)
    assert "drive_end, fan_end" in said.value.hint
    assert diagnosed(file, *STATED, "--array", "drive_end")["finding"] == "outer"
    with pytest.raises(ConfigurationError, match="no array 'de'"):
        diagnosed(file, *STATED, "--array", "de")


def test_a_speed_that_changes_is_an_array_of_the_file(tmp_path: Path) -> None:
    # the same turns, passed through faster and faster
    share = np.linspace(0.0, 1.0, len(DAMAGED))
    moving = np.interp((0.8 * share + 0.2 * share**2) * (len(DAMAGED) - 1), np.arange(len(DAMAGED)), DAMAGED)
    file = saved(tmp_path / "moving.npz", x=moving, rpm=np.array([0.8, 1.2]) * 1797.0)
    words = ("--rate", "12000", "--bearing", "6205")
    found = diagnosed(file, *words, "--speed", "rpm")
    assert (found["finding"], found["rpm"]) == ("outer", pytest.approx(1797.0))
    assert diagnosed(file, *words, "--rpm", "1797")["finding"] is None
    with pytest.raises(ConfigurationError, match="above 0"):
        diagnosed(saved(tmp_path / "none.npz", x=moving, rpm=np.zeros(2)), *words, "--speed", "rpm")


@pytest.mark.parametrize(
    ("values", "rate", "rpm", "reason"),
    [
        (np.full(24_000, 3.0), 12_000, 1797, "constant"),
        (DAMAGED[:1000], 12_000, 1797, "short"),
        (DAMAGED[:1], 12_000, 1797, "short"),
        (DAMAGED, 12_000, 0, "no_speed"),
        (DAMAGED, 300, 1797, "slow_rate"),
    ],
)
def test_what_says_nothing_gets_no_verdict(tmp_path: Path, values: Any, rate: float, rpm: float, reason: str) -> None:
    words = ("--rate", str(rate), "--rpm", str(rpm), "--bearing", "6205")
    found = diagnosed(saved(tmp_path / "x.npz", x=values), *words)
    assert (found["finding"], found["abstained"], found["reason"]) == (None, True, reason)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (np.array([]), "is empty"),
        (np.append(DAMAGED, np.nan), "1 of 24001 numbers are not finite"),
        (DAMAGED.reshape(2, -1), "2 × 12000 numbers"),
        (np.array(["a", "b"]), "no real numbers"),
        (DAMAGED.astype(np.complex128), "no real numbers"),
        (np.array([{"a": 1}], dtype=object), "holds no plain numbers"),
    ],
)
def test_a_file_that_holds_no_recording_is_refused(tmp_path: Path, values: Any, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        diagnosed(saved(tmp_path / "x.npz", x=values), *STATED)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path / "x.npz", x=np.array([_Runs()], dtype=object))
    with pytest.raises(ConfigurationError, match="holds no plain numbers"):
        diagnosed(file, *STATED)
    assert not Path("executed").exists()


@pytest.mark.parametrize(("name", "content"), [("x.npz", b"no archive"), ("x.npy", b"\x93NUMPY"), ("x.npz", b"")])
def test_a_broken_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match="holds no plain numbers"):
        diagnosed(tmp_path / name, *STATED)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigurationError, match="is no file"):
        diagnosed(tmp_path / name, *STATED)


@pytest.mark.parametrize("shape", [(10**11,), (2 * 10**9,), (10**23,)])
def test_a_head_that_promises_more_than_there_is_is_refused(tmp_path: Path, shape: tuple[int]) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": shape})
    (tmp_path / "x.npy").write_bytes(head.getvalue() + bytes(80))
    with pytest.raises(ConfigurationError, match="holds no plain numbers"):
        diagnosed(tmp_path / "x.npy", *STATED)


def test_a_file_of_more_bytes_than_may_be_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        file.truncate(4 * 1024**3)
    with pytest.raises(ConfigurationError, match="more than 2"):
        diagnosed(tmp_path / "x.npy", *STATED)


def test_an_archive_with_a_broken_array_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    with pytest.raises(ConfigurationError, match="no real numbers"):
        diagnosed(tmp_path / "x.npz", *STATED)


@pytest.mark.parametrize("name", ["x.csv", "x.wav"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("1,2,3")
    with pytest.raises(ConfigurationError, match="neither an npz nor an npy") as said:
        diagnosed(tmp_path / name, *STATED)
    assert "savez" in said.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        diagnosed(tmp_path / "x.npz", *STATED)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--rate", "0", "--rpm", "1797", "--bearing", "6205"), "a rate is above 0"),
        (("--rate", "nan", "--rpm", "1797", "--bearing", "6205"), "a rate is above 0"),
        (("--rate", "12000", "--rpm", "-5", "--bearing", "6205"), "a speed is 0 or above"),
        (("--rate", "12000", "--rpm", "1797", "--bearing", "620"), "no bearing '620' is known"),
        (("--rate", "12000", "--rpm", "1797"), "told in no way"),
        (("--rate", "12000", "--bearing", "6205"), "told not at all, or twice"),
        ((*STATED, "--speed", "rpm"), "told not at all, or twice"),
        ((*STATED, "--balls", "9"), "more than one way"),
        (("--rate", "12000", "--rpm", "1797", "--balls", "9"), "incomplete"),
        (("--rate", "12000", "--rpm", "1797", "--bpfo", "3.5"), "incomplete"),
        (("--rate", "12000", "--rpm", "1797", "--bpfo", "5.4", "--bpfi", "3.5"), "BPFI is above BPFO"),
        (("--rate", "1e4", "--rpm", "1797", "--balls", "9", "--ball-mm", "9", "--pitch-mm", "8"), "no bearing is like"),
    ],
)
def test_what_cannot_be_is_said(damaged: Path, words: tuple[str, ...], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        diagnosed(damaged, *words)


def test_the_command_itself_ends_with_the_codes_of_the_command_line(damaged: Path) -> None:
    def ended(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "shopfloor", "diagnose", "bearing", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    right = ended(str(damaged), *STATED, "--json")
    assert (right.returncode, json.loads(right.stdout.splitlines()[-1])["finding"]) == (0, "outer")
    wrong = ended(str(damaged), "--rate", "0", "--rpm", "1", "--bearing", "6205", "--json")
    assert (wrong.returncode, json.loads(wrong.stderr)["exit_code"], wrong.stdout) == (2, 2, "")


@pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings at ../shared/data/bearings_cwru")
@pytest.mark.parametrize(
    ("name", "rate", "finding"),
    [
        ("1797_OR@6_7_DE12", 12_000, "outer"),
        ("1772_IR_21_DE12", 12_000, "inner"),
        ("1797_B_21_DE12", 12_000, "ball"),
        ("1797_Normal", 48_000, None),
    ],
)
def test_real_recordings(name: str, rate: float, finding: str | None) -> None:
    words = ("--rate", str(rate), "--rpm", name.partition("_")[0], "--bearing", "6205")
    found = diagnosed(RECORDINGS / f"{name}.npz", *words)
    assert (found["finding"], found["abstained"]) == (finding, False)
