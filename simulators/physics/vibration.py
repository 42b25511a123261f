"""Vibration of a rotating machine: blocks of acceleration on request, and the two figures that a slow sensor shows.

The block is a sum of shaft orders, tooth passes, gear mesh, bearing defects as modulated impulse trains with slip that
ring a resonance (Randall and Antoni, MSSP 25, 2011, section 2; McFadden and Smith, JSV 96, 1984), chatter and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.physics.bearing import Bearing, Element

BAND_HZ: Final = (10.0, 1000.0)
"""Band of the velocity RMS (ISO 20816-1)."""

_SLIP: Final = 0.01
_HARMONICS: Final = 4


@dataclass(slots=True)
class Defect:
    """A local defect: impulses of `amplitude` (m/s², first peak) at the element's order ring a resonance."""

    bearing: Bearing
    element: Element
    amplitude: float
    resonance_hz: float = 3400.0
    damping: float = 0.04


@dataclass(slots=True)
class Sources:
    """What shakes: amplitudes of acceleration in m/s², frequencies in Hz.

    `orders` shaft orders → amplitude; `tones` Hz → amplitude (tooth pass, gear mesh; harmonics fall as 1/k);
    `turn_share` modulates the tones once per turn (run-out); `chatter` Hz and amplitude; `floor` the standard
    deviation of the noise.
    """

    shaft_hz: float = 0.0
    orders: dict[float, float] = field(default_factory=dict)
    tones: dict[float, float] = field(default_factory=dict)
    turn_share: float = 0.0
    defects: list[Defect] = field(default_factory=list)
    chatter: tuple[float, float] = (0.0, 0.0)
    floor: float = 0.05

    def _lines(self) -> list[tuple[float, float]]:
        lines = [(order * self.shaft_hz, amplitude) for order, amplitude in self.orders.items()]
        for tone, amplitude in self.tones.items():
            for k in range(1, _HARMONICS + 1):
                lines.append((k * tone, amplitude / k))
        lines.append(self.chatter)
        return [(frequency, amplitude) for frequency, amplitude in lines if frequency > 0.0 and amplitude > 0.0]

    def velocity_mm_s(self) -> float:
        """Return the velocity RMS in mm/s from 10 to 1000 Hz: Σ (a/(2πf))²/2; impulses and noise add little there."""
        low, high = BAND_HZ
        power = 0.0
        for frequency, amplitude in self._lines():
            if low <= frequency <= high:
                power += (amplitude / (2.0 * math.pi * frequency)) ** 2 / 2.0
        # white noise of density S = floor²/(fs/2): ∫ S/(2πf)² df over the band
        density = self.floor**2 / 12800.0
        power += density / (4.0 * math.pi**2) * (1.0 / low - 1.0 / high)
        return 1000.0 * math.sqrt(power)

    def acceleration_m_s2(self) -> float:
        """Return the acceleration RMS in m/s²: lines A²/2, an impulse train A²·f/(4·ζ·ω), noise."""
        power = self.floor**2
        for _, amplitude in self._lines():
            power += amplitude * amplitude / 2.0
        for defect in self.defects:
            rate = defect.bearing.order(defect.element) * self.shaft_hz
            ringing = 4.0 * defect.damping * 2.0 * math.pi * defect.resonance_hz
            share = {"outer": 1.0, "inner": 0.375, "ball": 0.375, "cage": 0.375}[defect.element]
            power += defect.amplitude**2 * rate / ringing * share
        return math.sqrt(power)

    def block(self, samples: int, rate_hz: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return `samples` values of acceleration in m/s² at `rate_hz`; phases and slip come from `rng`."""
        time = np.arange(samples) / rate_hz
        turn = 2.0 * math.pi * self.shaft_hz * time + rng.uniform(0.0, 2.0 * math.pi)
        signal = rng.standard_normal(samples) * self.floor
        for order, amplitude in self.orders.items():
            signal += amplitude * np.sin(order * turn)
        modulation = 1.0 + self.turn_share * np.cos(turn)
        for tone, amplitude in self.tones.items():
            phase = 2.0 * math.pi * tone * time + rng.uniform(0.0, 2.0 * math.pi)
            for k in range(1, _HARMONICS + 1):
                if k * tone < rate_hz / 2.0:
                    signal += amplitude / k * modulation * np.sin(k * phase)
        frequency, amplitude = self.chatter
        if frequency > 0.0:
            signal += amplitude * np.sin(2.0 * math.pi * frequency * time + rng.uniform(0.0, 2.0 * math.pi))
        for defect in self.defects:
            signal += self._ringing(defect, samples, rate_hz, rng)
        return signal

    def _ringing(
        self, defect: Defect, samples: int, rate_hz: float, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        rate = defect.bearing.order(defect.element) * self.shaft_hz
        if rate <= 0.0 or defect.amplitude <= 0.0:
            return np.zeros(samples)
        lead = int(rate_hz * 0.05)  # impulses before the block still ring in it
        count = int((samples + lead) / rate_hz * rate) + 2
        # a mean rate with jitter around it: rolling elements slip, yet the cage keeps their mean spacing
        hits = (np.arange(count) + rng.uniform(0.0, 1.0)) / rate + rng.standard_normal(count) * _SLIP / rate
        sharpness = defect.amplitude * (1.0 + 0.1 * rng.standard_normal(count)) * self._load(defect, hits)
        place = np.rint(hits * rate_hz).astype(int)
        inside = (place >= 0) & (place < samples + lead)
        impulses = np.zeros(samples + lead)
        np.add.at(impulses, place[inside], sharpness[inside])
        omega = 2.0 * math.pi * defect.resonance_hz
        decay = np.arange(lead) / rate_hz
        response = np.exp(-defect.damping * omega * decay) * np.sin(omega * math.sqrt(1.0 - defect.damping**2) * decay)
        size = 1 << (samples + 2 * lead).bit_length()
        rung = np.fft.irfft(np.fft.rfft(impulses, size) * np.fft.rfft(response, size), size)
        return np.asarray(rung[lead : lead + samples], dtype=np.float64)

    def _load(self, defect: Defect, hits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the load zone's factor.

        An outer defect stays in it, an inner turns with the shaft, a ball with the cage.
        """
        if defect.element == "outer":
            return np.ones_like(hits)
        turns = self.shaft_hz * (1.0 if defect.element == "inner" else defect.bearing.cage())
        return np.asarray(0.5 * (1.0 + np.cos(2.0 * math.pi * turns * hits)), dtype=np.float64)
