"""Recordings of bearings that never were: strikes of a part with slip, a structure that rings, noise, a shaft."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vibration.bearing import Orders

Numbers = npt.NDArray[np.float64]


def recording(
    orders: Orders,
    part: str | None,
    *,
    rate_hz: float,
    shaft_hz: float,
    seconds: float,
    snr_db: float = 0.0,
    slip: float = -0.006,
    seed: int = 1,
) -> Numbers:
    """Return noise and shaft tones with RMS near 1, and the strikes of `part` `snr_db` above the noise.

    `slip` moves the cage's speed, and each strike comes up to 1 % early or late. An inner ring's strikes swell with the
    shaft (it turns through the load), a ball's with the cage.
    """
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    values = rng.normal(size=len(time_s))
    for multiple in (1, 2, 3):
        turn = 2.0 * np.pi * multiple * shaft_hz * time_s + rng.uniform(0.0, 6.0)
        values += rng.uniform(0.2, 0.8) * np.sin(turn)
    if part is None:
        return values
    order = {
        "outer": orders.outer * (1.0 + slip),
        "inner": orders.inner - orders.outer * slip,
        "ball": 2.0 * orders.ball * (1.0 + slip),
        "cage": orders.cage * (1.0 + slip),
    }[part]
    strikes = np.cumsum((1.0 + 0.005 * rng.normal(size=int(seconds * order * shaft_hz) + 2)) / (order * shaft_hz))
    turns = 2.0 * np.pi * shaft_hz * strikes
    swelling = {"inner": np.cos(turns), "ball": np.cos(turns * orders.cage)}.get(part, np.ones_like(turns))
    struck = np.zeros_like(values)
    places = (strikes * rate_hz).astype(np.int64)
    inside = places < len(values)
    np.add.at(struck, places[inside], np.maximum(0.15, (1.0 + swelling[inside]) / 2.0))
    decay_s = np.arange(int(0.01 * rate_hz)) / rate_hz
    ringing = np.exp(-900.0 * decay_s) * np.sin(2.0 * np.pi * 0.22 * rate_hz * decay_s)
    rung = np.convolve(struck, ringing)[: len(values)]
    return np.asarray(values + rung / rung.std() * 10.0 ** (snr_db / 20.0))
