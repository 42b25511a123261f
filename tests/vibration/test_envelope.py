"""Squared envelopes: depth of a swelling, bands, and which band is spiky."""

from __future__ import annotations

import numpy as np
import pytest

from vibration.envelope import levels, spiky_band, squared_envelope_spectrum

RATE_HZ = 10_000.0
TIME_S = np.arange(20_000) / RATE_HZ
CARRIER = np.sin(2.0 * np.pi * 3000.0 * TIME_S)


def test_the_depth_of_a_swelling() -> None:
    envelope = squared_envelope_spectrum((1.0 + 0.1 * np.cos(2.0 * np.pi * 80.0 * TIME_S)) * CARRIER, RATE_HZ)
    line = int(np.argmax(envelope.amplitude))
    assert line * envelope.step_hz == pytest.approx(80.0)
    # (1 + m cos)² has 2 m cos over a mean of 1 + m²/2
    assert envelope.amplitude[line] == pytest.approx(0.2 / 1.005, rel=1e-3)
    assert envelope.band == (0.0, 5000.0)


def test_a_band_sees_what_swells_in_it() -> None:
    values = CARRIER + (1.0 + 0.5 * np.cos(2.0 * np.pi * 80.0 * TIME_S)) * np.sin(2.0 * np.pi * 1000.0 * TIME_S)
    swelling, steady = (
        squared_envelope_spectrum(values, RATE_HZ, band).amplitude[160] for band in ((500.0, 1500.0), (2500.0, 3500.0))
    )
    assert swelling == pytest.approx(1.0 / 1.125, rel=0.01)
    assert steady < 0.01


def test_silence_has_no_envelope() -> None:
    assert not squared_envelope_spectrum(np.zeros(1000), RATE_HZ).amplitude.any()


def test_bands_are_halved_as_long_as_they_are_wide_enough() -> None:
    assert [len(level) for level in levels(RATE_HZ, 1200.0)] == [1, 2, 4]
    assert [len(level) for level in levels(RATE_HZ, 1.0)] == [1, 2, 4, 8, 16]
    assert [len(level) for level in levels(RATE_HZ, 1e9)] == [1]


def test_the_band_in_which_strikes_ring_is_the_spiky_one() -> None:
    values = np.random.default_rng(1).normal(size=len(TIME_S))
    ringing = np.exp(-900.0 * TIME_S[:100]) * np.sin(2.0 * np.pi * 4000.0 * TIME_S[:100])
    values[::500] += 20.0
    values = np.convolve(values, ringing)[: len(TIME_S)] + np.random.default_rng(2).normal(size=len(TIME_S))
    low, high = spiky_band(values, RATE_HZ, 1000.0)
    assert low <= 4000.0 <= high
    assert high - low < 5000.0
