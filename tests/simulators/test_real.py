"""Simulated against recorded machines: the figures of docs/simulated_and_real.md.

The recordings are not in the repository (see the document): without them these tests are skipped.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from simulators.machines.cnc import Cnc
from simulators.machines.robot import Robot
from simulators.physics.bearing import B6205, Element
from simulators.physics.vibration import Defect, Sources

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
RATE = 12000.0
SIZE = 120_000
SHAFT = 1797.0 / 60.0
G = 9.81

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA.name} beside the repository")

Array = npt.NDArray[np.float64]


def recorded(name: str) -> Array:
    """A drive-end recording of the Case Western rig in g."""
    with np.load(DATA / "bearings_cwru" / f"{name}.npz") as file:
        return np.asarray(file["x"], dtype=np.float64)[:SIZE]


def simulated(element: Element | None, peak: float = 30.0) -> Array:
    defects = [] if element is None else [Defect(B6205, element, peak)]
    sources = Sources(shaft_hz=SHAFT, orders={1.0: 0.15, 2.0: 0.1}, floor=0.65, defects=defects)
    return sources.block(SIZE, RATE, np.random.default_rng(1)) / G


def rms(block: Array) -> float:
    return float(np.sqrt(np.mean(block**2)))


def kurtosis(block: Array) -> float:
    centered = block - block.mean()
    return float(np.mean(centered**4) / np.mean(centered**2) ** 2)


def line(block: Array, hz: float) -> tuple[float, float]:
    """Frequency of the envelope's line near `hz`, and its height over the median around it."""
    full = np.fft.fft(block)
    frequency = np.fft.fftfreq(len(block), 1.0 / RATE)
    full[(frequency < 2000.0) | (frequency > 5500.0)] = 0.0
    envelope = np.abs(np.fft.ifft(full)) ** 2
    amplitude = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(block))))
    axis = np.fft.rfftfreq(len(block), 1.0 / RATE)
    near, around = np.abs(axis - hz) < 0.02 * hz, np.abs(axis - hz) < 0.3 * hz
    return float(axis[near][np.argmax(amplitude[near])]), float(amplitude[near].max() / np.median(amplitude[around]))


@pytest.mark.parametrize(
    ("name", "element", "hz"), [("1797_OR@6_7_DE12", "outer", 107.4), ("1797_IR_7_DE12", "inner", 162.2)]
)
def test_bearing_lines_kurtosis_and_level(name: str, element: Element, hz: float) -> None:
    real, ours = recorded(name), simulated(element)
    (real_hz, real_height), (our_hz, our_height) = line(real, hz), line(ours, hz)
    assert our_hz == pytest.approx(real_hz, rel=0.005)
    assert min(real_height, our_height) > 50.0
    assert 0.4 < rms(ours) / rms(real) < 2.5
    assert min(kurtosis(real), kurtosis(ours)) > 5.0


def test_a_healthy_bearing() -> None:
    real, ours = recorded("1797_Normal"), simulated(None)
    assert rms(ours) == pytest.approx(rms(real), rel=0.2)
    assert kurtosis(ours) == pytest.approx(kurtosis(real), abs=0.4)
    assert max(line(real, 107.4)[1], line(ours, 107.4)[1]) < 5.0


def lag_um(number: str) -> float:
    """Mean following error of X in cut of a milling experiment of Michigan, µm."""
    with gzip.open(DATA / "tool_wear_umich" / f"experiment_{number}.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["Machining_Process"].startswith("Layer")]
    lags = [abs(float(row["X_SetPosition"]) - float(row["X_ActualPosition"])) for row in rows]
    return 1000.0 * sum(lags) / len(lags)


def test_following_error_rises_with_the_feed_on_a_real_mill_and_on_ours() -> None:
    real = [lag_um("11"), lag_um("01"), lag_um("02")]  # feed 3, 6, 20 mm/s
    axis = Cnc("c").axes[0]
    ours = [axis.following_um(feed) for feed in (3.0, 6.0, 20.0)]
    assert real == sorted(real)
    assert ours == sorted(ours)
    assert all(0.2 < mine / theirs < 2.0 for mine, theirs in zip(ours, real, strict=True))


def test_the_shoulder_carries_the_most_current_then_the_elbow_then_the_wrist() -> None:
    with gzip.open(DATA / "robot_ur3" / "cobotops.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    real = []
    for joint in range(6):
        texts = [row[f"Current_J{joint}"].replace(",", ".") for row in rows]
        values = np.array([float(text) for text in texts if text])
        real.append(rms(values))
    robot = Robot("r", 1)
    currents = []
    for _ in range(3000):
        robot.step(0.1)
        currents.append(list(robot.current))
    ours = [rms(column) for column in np.array(currents).T]
    assert np.argsort(real)[-2:].tolist() == np.argsort(ours)[-2:].tolist() == [2, 1]
    assert int(np.argmin(real)) == int(np.argmin(ours)) == 5
