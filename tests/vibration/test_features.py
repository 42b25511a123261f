"""Features of a block, against what is known of tones and noise."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from tests.vibration.synthetic import recording
from vibration.bearing import KNOWN
from vibration.features import Features, features

RATE_HZ = 25_600.0
TIME_S = np.arange(16_384) / RATE_HZ
TONE = 2.0 * np.sin(2.0 * np.pi * 100.0 * TIME_S)
NOISE = np.random.default_rng(3).normal(size=len(TIME_S))


def test_the_velocity_of_a_tone() -> None:
    found = features(TONE, RATE_HZ, 100.0)
    # an acceleration of amplitude a at f is a velocity of amplitude a / 2 pi f
    assert found.velocity_mm_s == pytest.approx(1000.0 * 2.0 / (2.0 * math.pi * 100.0) / math.sqrt(2.0), rel=0.01)
    assert (found.rms, found.peak, found.crest) == (
        pytest.approx(math.sqrt(2.0), rel=0.01),
        pytest.approx(2.0, rel=0.01),
        pytest.approx(math.sqrt(2.0), rel=0.01),
    )
    assert found.kurtosis == pytest.approx(1.5, rel=0.01)


def test_iso_looks_from_2_hz_on_at_slow_shafts_and_from_10_hz_at_others() -> None:
    slow = np.sin(2.0 * np.pi * 5.0 * np.arange(51_200) / 5120.0)
    low, high = (features(slow, 5120.0, shaft_hz).velocity_mm_s for shaft_hz in (8.0, 25.0))
    assert low == pytest.approx(1000.0 / (2.0 * math.pi * 5.0) / math.sqrt(2.0), rel=0.01)
    assert high is not None
    assert high < 0.01 * low


def test_the_amplitudes_at_one_and_two_times_the_shaft() -> None:
    found = features(TONE + 0.5 * np.sin(2.0 * np.pi * 200.0 * TIME_S), RATE_HZ, 100.0)
    assert (found.once, found.twice) == (pytest.approx(2.0, rel=0.02), pytest.approx(0.5, rel=0.02))


def test_a_peak_off_the_orders_of_shaft_and_teeth_is_told_from_one_on_them() -> None:
    teeth = 3.0 * np.sin(2.0 * np.pi * 400.0 * TIME_S)
    chatter = 1.0 * np.sin(2.0 * np.pi * 1250.0 * TIME_S)
    found = features(teeth + chatter + 0.1 * NOISE, RATE_HZ, 100.0, teeth=(4,))
    assert (found.stray_hz, found.stray) == (pytest.approx(1250.0, abs=2.0), pytest.approx(1.0, rel=0.05))


def test_noise_has_a_kurtosis_of_3_and_its_floor_is_its_own() -> None:
    found = features(NOISE, RATE_HZ, 100.0)
    assert found.kurtosis == pytest.approx(3.0, abs=0.15)
    assert found.floor == pytest.approx(math.sqrt(0.5), rel=0.05)  # the upper half has half of the power
    with_tone = features(NOISE + 5.0 * np.sin(2.0 * np.pi * 9000.0 * TIME_S), RATE_HZ, 100.0)
    assert with_tone.floor == pytest.approx(found.floor, rel=0.02)


def test_the_line_of_a_damaged_part_stands_out() -> None:
    values = recording(KNOWN["6205"], "outer", rate_hz=RATE_HZ, shaft_hz=50.0, seconds=0.64, snr_db=3.0)
    found = features(values, RATE_HZ, 50.0, KNOWN["6205"])
    assert found.outer is not None
    assert found.inner is not None
    assert found.outer > 10.0
    assert found.outer > 2.0 * found.inner


@pytest.mark.parametrize(("values", "rate_hz"), [(TONE[:10], RATE_HZ), (np.zeros(0), RATE_HZ), (TONE, 0.0)])
def test_what_says_nothing_has_no_features(values: np.ndarray, rate_hz: float) -> None:
    assert features(values, rate_hz, 100.0, KNOWN["6205"]) == Features()


def test_a_shaft_that_stands_has_no_orders_and_a_slow_rate_no_velocity() -> None:
    standing = asdict(features(TONE, RATE_HZ, 0.0, KNOWN["6205"]))
    assert {name for name, value in standing.items() if value is None} == {
        "once", "twice", "stray", "stray_hz", "outer", "inner", "ball", "cage"
    }  # fmt: skip
    assert features(TONE, 1000.0, 10.0).velocity_mm_s is None


def test_a_constant_has_neither_crest_nor_kurtosis() -> None:
    found = features(np.full(1000, 7.0), RATE_HZ, 100.0, KNOWN["6205"])
    assert (found.rms, found.crest, found.kurtosis, found.outer) == (0.0, None, None, None)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        features(np.array([1.0, np.nan]), RATE_HZ, 100.0)
