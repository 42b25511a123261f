"""Order tracking: what smears over a changing speed is a line at even angles."""

from __future__ import annotations

import numpy as np
import pytest

from tests.vibration.synthetic import recording
from vibration.bearing import KNOWN
from vibration.tracking import steadied
from vibration.verdict import diagnose

RATE_HZ = 12_000.0
BALLS = KNOWN["6205"]


def test_a_tone_of_the_shaft_becomes_one_line() -> None:
    speeds_hz = np.linspace(20.0, 40.0, 48_000)
    tone = np.sin(2.0 * np.pi * 3.0 * np.cumsum(speeds_hz) / RATE_HZ)
    before, after = (np.abs(np.fft.rfft(each * np.hanning(len(each)))) for each in (tone, steadied(tone, [20.0, 40.0])))
    assert after.max() > 0.49 * len(tone) / 2.0 * 0.99
    assert after.max() > 5.0 * before.max()
    assert np.argmax(after) * RATE_HZ / len(tone) == pytest.approx(3.0 * 30.0, abs=0.5)


def test_damage_shows_through_a_change_of_speed() -> None:
    steady = recording(BALLS, "outer", rate_hz=RATE_HZ, shaft_hz=30.0, seconds=4.0, snr_db=3.0)
    # the same turns of the shaft, passed through faster and faster: from 0.8 to 1.2 of the mean speed
    share = np.linspace(0.0, 1.0, len(steady))
    moving = np.interp((0.8 * share + 0.2 * share**2) * (len(steady) - 1), np.arange(len(steady)), steady)
    assert diagnose(moving, RATE_HZ, 30.0, BALLS).finding != "outer"
    assert diagnose(steadied(moving, [0.8, 1.2]), RATE_HZ, 30.0, BALLS).finding == "outer"


@pytest.mark.parametrize(
    ("speeds", "what"), [([], "one row"), ([30.0, 0.0], "above 0"), ([1.0, 5.0], "factor of four")]
)
def test_speeds_that_cannot_be_are_refused(speeds: list[float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        steadied(np.zeros(100), speeds)
