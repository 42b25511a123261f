"""Amplitudes by frequency, checked by waves of which they are known."""

from __future__ import annotations

import math

import pytest

from cloud.blocks.spectrum import MOST, spectrum


def wave(count: int, *parts: tuple[int, float], mean: float = 0.0) -> list[float]:
    """Return `count` values of sines, each of a number of periods and an amplitude."""
    return [mean + sum(a * math.sin(2 * math.pi * k * i / count) for k, a in parts) for i in range(count)]


@pytest.mark.parametrize("count", [64, 1024])
def test_a_sine_at_one_of_the_frequencies_has_its_amplitude(count: int) -> None:
    used, amplitude = spectrum(wave(count, (5, 1.5), (20, 0.25), mean=9.81))
    assert (used, len(amplitude)) == (count, count // 2 + 1)
    assert amplitude[0] == pytest.approx(9.81)
    assert amplitude[5] == pytest.approx(1.5)
    assert amplitude[4:7:2] == pytest.approx([0.75, 0.75])  # the window spreads a line over three
    assert amplitude[20] == pytest.approx(0.25)
    assert max(amplitude[9:18]) < 1e-9


def test_of_another_number_of_values_a_power_of_two_is_used() -> None:
    assert spectrum(wave(64, (4, 1.0)) + [7.0] * 40)[0] == 64
    assert spectrum([3.0]) == (1, [3.0])
    assert spectrum([3.0, 3.0, 3.0])[1] == [3.0, 0.0]
    assert spectrum([0.0] * (MOST + 1))[0] == MOST
