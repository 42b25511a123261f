"""Bearing lines where the formulas put them, shaft orders, tooth passes, chatter, and figures that fit their blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from simulators.physics.bearing import B6205, B7014, Bearing, Element, oil_viscosity
from simulators.physics.vibration import Defect, Sources

RATE = 25600.0
SIZE = 1 << 17
SHAFT = 1797.0 / 60.0

Array = npt.NDArray[np.float64]


def spectrum(signal: Array) -> tuple[Array, Array]:
    """Amplitude spectrum with a Hann window."""
    window = np.hanning(len(signal))
    lines = 2.0 * np.abs(np.fft.rfft(signal * window)) / window.sum()
    return np.fft.rfftfreq(len(signal), 1.0 / RATE), lines


def envelope_spectrum(signal: Array, low: float = 2000.0, high: float = 6000.0) -> tuple[Array, Array]:
    """Spectrum of the squared envelope of a band: what an analyst does (Randall and Antoni 2011)."""
    size = len(signal)
    full = np.fft.fft(signal)
    frequency = np.fft.fftfreq(size, 1.0 / RATE)
    full[(frequency < low) | (frequency > high)] = 0.0
    envelope = np.abs(2.0 * np.fft.ifft(full)) ** 2
    return spectrum(envelope - envelope.mean())


def strongest(lines: tuple[Array, Array], low: float, high: float) -> float:
    """Frequency of the highest line between two frequencies."""
    frequency, amplitude = lines
    inside = (frequency >= low) & (frequency <= high)
    return float(frequency[inside][np.argmax(amplitude[inside])])


def height(lines: tuple[Array, Array], at: float, tolerance: float = 0.02) -> float:
    """Highest line within a relative tolerance of a frequency, over the median of its surroundings."""
    frequency, amplitude = lines
    near = np.abs(frequency - at) <= tolerance * at
    around = np.abs(frequency - at) <= 0.3 * at
    return float(amplitude[near].max() / np.median(amplitude[around]))


def damaged(bearing: Bearing, element: Element, shaft_hz: float = SHAFT) -> Sources:
    return Sources(shaft_hz=shaft_hz, orders={1.0: 0.5}, defects=[Defect(bearing, element, 40.0)], floor=0.5)


def test_6205_at_1797_rpm() -> None:
    """Case Western's table: 162.2 and 107.4 Hz, cage 11.9, ball 70.6 Hz."""
    assert B6205.inner() * SHAFT == pytest.approx(162.2, abs=0.1)
    assert B6205.outer() * SHAFT == pytest.approx(107.4, abs=0.1)
    assert B6205.cage() * SHAFT == pytest.approx(11.9, abs=0.05)
    assert B6205.ball() * SHAFT == pytest.approx(70.6, abs=0.1)
    assert B6205.outer() + B6205.inner() == pytest.approx(9.0)
    assert B6205.outer() == pytest.approx(9.0 * B6205.cage())


@pytest.mark.parametrize(("element", "hz"), [("outer", 107.4), ("inner", 162.2), ("ball", 141.2)])
def test_the_envelope_shows_the_defect_at_its_frequency(element: Element, hz: float) -> None:
    block = damaged(B6205, element).block(SIZE, RATE, np.random.default_rng(1))
    lines = envelope_spectrum(block)
    assert strongest(lines, 0.8 * hz, 1.2 * hz) == pytest.approx(hz, rel=0.01)
    assert height(lines, hz) > 10.0
    assert height(lines, 2.0 * hz) > 5.0


def test_an_inner_defect_has_sidebands_of_the_shaft_and_an_outer_one_has_not() -> None:
    inner = envelope_spectrum(damaged(B6205, "inner").block(SIZE, RATE, np.random.default_rng(2)))
    outer = envelope_spectrum(damaged(B6205, "outer").block(SIZE, RATE, np.random.default_rng(2)))
    for side in (-SHAFT, SHAFT):
        assert height(inner, 162.2 + side) > 8.0
        assert height(outer, 107.4 + side) < 6.0


def test_a_healthy_bearing_shows_no_line_and_gaussian_noise() -> None:
    block = Sources(shaft_hz=SHAFT, orders={1.0: 0.1}, floor=0.5).block(SIZE, RATE, np.random.default_rng(3))
    assert height(envelope_spectrum(block), 107.4) < 6.0
    assert kurtosis(block) == pytest.approx(3.0, abs=0.1)
    assert kurtosis(damaged(B6205, "outer").block(SIZE, RATE, np.random.default_rng(3))) > 6.0


def kurtosis(block: Array) -> float:
    centered = block - block.mean()
    return float(np.mean(centered**4) / np.mean(centered**2) ** 2)


def test_lines_of_shaft_teeth_and_chatter() -> None:
    sources = Sources(shaft_hz=63.33, orders={1.0: 1.0, 2.0: 0.3}, tones={253.33: 4.0}, chatter=(787.0, 6.0), floor=0.1)
    lines = spectrum(sources.block(SIZE, RATE, np.random.default_rng(4)))
    for hz, amplitude in ((63.33, 1.0), (126.67, 0.3), (253.33, 4.0), (506.67, 2.0), (787.0, 6.0)):
        assert strongest(lines, hz - 5.0, hz + 5.0) == pytest.approx(hz, abs=0.3)
        frequency, amplitudes = lines
        assert amplitudes[np.abs(frequency - hz) < 3.0].max() == pytest.approx(amplitude, rel=0.2)


def test_the_slow_figures_fit_the_block() -> None:
    sources = damaged(B6205, "outer")  # its impulses ring out before the next one comes
    sources.tones[253.33] = 5.0
    sources.turn_share = 0.1
    block = sources.block(SIZE, RATE, np.random.default_rng(5))
    assert float(np.sqrt(np.mean(block**2))) == pytest.approx(sources.acceleration_m_s2(), rel=0.12)
    frequency, lines = np.fft.rfftfreq(SIZE, 1.0 / RATE), np.fft.rfft(block)
    inside = (frequency >= 10.0) & (frequency <= 1000.0)
    velocity = np.zeros_like(lines)
    velocity[inside] = lines[inside] / (2j * np.pi * frequency[inside])
    rms = 1000.0 * float(np.sqrt(np.mean(np.fft.irfft(velocity) ** 2)))
    assert rms == pytest.approx(sources.velocity_mm_s(), rel=0.12)


def test_palmgren_friction_rises_with_speed_and_falls_with_warm_grease() -> None:
    cold, warm = oil_viscosity(25.0), oil_viscosity(60.0)
    assert B7014.friction_nm(6000.0, 600.0, cold) > B7014.friction_nm(3000.0, 600.0, cold)
    assert B7014.friction_nm(6000.0, 600.0, warm) < B7014.friction_nm(6000.0, 600.0, cold)
    # M0 at ν·n = 20·5000: 1e-7·1.7·(1e5)^(2/3)·90³ N·mm = 0.267 N·m; M1 = 0.0005·600·90 N·mm = 0.027 N·m
    assert B7014.friction_nm(5000.0, 600.0, 20.0) == pytest.approx(0.294, abs=0.002)
