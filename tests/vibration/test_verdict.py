"""Which part of a bearing is damaged: on synthetic bearings of many kinds, and on what only looks like damage."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.signal import resample_poly

from tests.vibration.synthetic import Numbers, recording
from vibration.bearing import KNOWN, Orders, orders
from vibration.verdict import diagnose

BALLS = KNOWN["6205"]
SPINDLE = orders(21, 9.5, 100.0, 15.0)
PUMP = orders(8, 17.5, 77.5)


@pytest.mark.parametrize("part", ["outer", "inner", "ball"])
@pytest.mark.parametrize(
    ("bearing", "rate_hz", "shaft_hz", "seconds", "snr_db"),
    [
        (BALLS, 12_000.0, 29.95, 4.0, 3.0),
        (KNOWN["UER204"], 25_600.0, 35.0, 1.28, 3.0),
        (KNOWN["NICE"], 48_828.0, 25.0, 3.0, 3.0),
        (KNOWN["ZA-2115"], 20_000.0, 33.3, 1.024, 3.0),
        # a thousand strikes a second ring into each other: the envelope hardly swells
        (SPINDLE, 51_200.0, 100.0, 0.64, 9.0),
        (PUMP, 25_600.0, 12.3, 6.0, 3.0),
    ],
)
def test_the_damaged_part_of_any_bearing_is_found(
    bearing: Orders, part: str, rate_hz: float, shaft_hz: float, seconds: float, snr_db: float
) -> None:
    values = recording(bearing, part, rate_hz=rate_hz, shaft_hz=shaft_hz, seconds=seconds, snr_db=snr_db)
    verdict = diagnose(values, rate_hz, shaft_hz, bearing)
    assert (verdict.finding, verdict.abstained, verdict.evidence[0].name) == (part, False, part)
    assert verdict.confidence > 0.7


@pytest.mark.parametrize("error", [0.99, 1.01])
@pytest.mark.parametrize("part", ["outer", "inner", "ball"])
def test_the_speed_may_be_wrong_by_a_percent(part: str, error: float) -> None:
    values = recording(BALLS, part, rate_hz=12_000.0, shaft_hz=29.95, seconds=4.0, snr_db=3.0)
    assert diagnose(values, 12_000.0, 29.95 * error, BALLS).finding == part


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scale_and_offset_make_no_difference(scale: float) -> None:
    values = recording(BALLS, "inner", rate_hz=12_000.0, shaft_hz=29.95, seconds=2.0)
    here, there = (diagnose(each, 12_000.0, 29.95, BALLS) for each in (values, (values + 3.0) * scale))
    assert (here.finding, here.reason) == (there.finding, there.reason)
    assert here.confidence == pytest.approx(there.confidence, abs=1e-6)


def test_another_rate_makes_no_difference() -> None:
    values = recording(BALLS, "outer", rate_hz=12_000.0, shaft_hz=29.95, seconds=2.0)
    assert diagnose(resample_poly(values, 4, 3), 16_000.0, 29.95, BALLS).finding == "outer"


def test_the_same_recording_gives_the_same_verdict() -> None:
    values = recording(BALLS, "ball", rate_hz=12_000.0, shaft_hz=29.95, seconds=2.0)
    assert diagnose(values, 12_000.0, 29.95, BALLS) == diagnose(values.copy(), 12_000.0, 29.95, BALLS)


def noise(seed: int, seconds: float = 2.0) -> tuple[Numbers, Numbers]:
    """Return healthy noise with the tones of a shaft of 29.95 Hz at 12 kHz, and its times."""
    values = recording(BALLS, None, rate_hz=12_000.0, shaft_hz=29.95, seconds=seconds, seed=seed)
    return values, np.arange(len(values)) / 12_000.0


def gears(seed: int) -> Numbers:
    values, time_s = noise(seed)
    turn = 2.0 * np.pi * 29.95 * time_s
    for harmonic in (1, 2, 3):
        values += (
            (1.0 + 0.5 * np.cos(turn) + 0.3 * np.cos(2.0 * turn)) * np.sin(23.0 * harmonic * turn + seed) / harmonic
        )
    return values


def mains(seed: int) -> Numbers:
    values, time_s = noise(seed)
    hz = (50.0, 60.0)[seed % 2]
    for harmonic in range(1, 20):
        values += 0.3 * np.sin(2.0 * np.pi * harmonic * hz * time_s + harmonic * seed)
    return values * (1.0 + 0.2 * np.cos(4.0 * np.pi * hz * time_s))


def blows(seed: int) -> Numbers:
    values, _ = noise(seed)
    rng = np.random.default_rng(seed)
    values[rng.integers(0, len(values), 20)] += rng.exponential(20.0, 20)
    return values


def swelling(seed: int) -> Numbers:
    values, time_s = noise(seed)
    turn = 2.0 * np.pi * 29.95 * time_s
    return values * (1.0 + 0.6 * np.cos(turn) + 0.3 * np.cos(2.0 * turn) + 0.2 * np.cos(3.0 * turn))


def plain(seed: int) -> Numbers:
    return noise(seed)[0]


@pytest.mark.parametrize("background", [plain, gears, mains, blows, swelling])
def test_what_is_no_bearing_damage_is_not_called_so(background: object) -> None:
    assert callable(background)
    findings = [
        diagnose(background(seed), 12_000.0, 29.95 * (1.0 + 0.002 * (seed % 5 - 2)), BALLS) for seed in range(20)
    ]
    assert [verdict.finding for verdict in findings] == [None] * 20


def test_a_tone_that_swells_at_a_bearing_frequency_alone_is_no_finding() -> None:
    values, time_s = noise(1)
    values *= 1.0 + 0.2 * np.cos(2.0 * np.pi * 3.585 * 29.95 * time_s)
    verdict = diagnose(values, 12_000.0, 29.95, BALLS)
    assert (verdict.finding, verdict.abstained, verdict.reason) == (None, True, "one_line")


def test_a_long_recording_is_averaged_over_parts() -> None:
    values = recording(BALLS, "outer", rate_hz=12_000.0, shaft_hz=29.95, seconds=60.0, snr_db=-14.0)
    whole, short = (diagnose(each, 12_000.0, 29.95, BALLS) for each in (values, values[:12_000]))
    assert whole.finding == "outer"
    assert short.finding is None


def test_a_block_of_an_edge_takes_little_of_a_core() -> None:
    values = recording(SPINDLE, "outer", rate_hz=25_600.0, shaft_hz=100.0, seconds=0.64)
    diagnose(values, 25_600.0, 100.0, SPINDLE)
    began = time.process_time()
    diagnose(values, 25_600.0, 100.0, SPINDLE)
    assert time.process_time() - began < 0.25


@pytest.mark.parametrize(
    ("values", "rate_hz", "shaft_hz", "reason"),
    [
        (np.zeros(12_000), 12_000.0, 29.95, "constant"),
        (np.arange(100.0), 12_000.0, 29.95, "short"),
        (np.zeros(0), 12_000.0, 29.95, "short"),
        (np.arange(12_000.0), 12_000.0, 0.0, "no_speed"),
        (np.arange(12_000.0), 12_000.0, float("nan"), "no_speed"),
        (np.arange(12_000.0), 0.0, 29.95, "slow_rate"),
    ],
)
def test_it_abstains_from_what_says_nothing(values: Numbers, rate_hz: float, shaft_hz: float, reason: str) -> None:
    verdict = diagnose(values, rate_hz, shaft_hz, BALLS)
    assert (verdict.finding, verdict.confidence, verdict.abstained, verdict.reason) == (None, 0.0, True, reason)


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.array([1.0, np.nan]), np.array([np.inf])])
def test_what_is_no_row_of_finite_numbers_is_refused(values: Numbers) -> None:
    with pytest.raises(ValueError, match="one row of finite numbers"):
        diagnose(values, 12_000.0, 29.95, BALLS)
