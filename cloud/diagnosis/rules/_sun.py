"""What soiling and a lost string have in common, less power from the same sun, and what tells them apart."""

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.formulas import SUN_W_M2, at_full_sun, yield_of_sun

_ROWS = 6
_TOGETHER = 48
_ALIKE = 0.3
_SINCE = 180
_SPAN = 0.1
_SHARE = 0.6
UNSURE = 0.03
"""The yield is not known better: another day has another sky, and modules another coefficient of temperature."""
NEEDS = ("power", "irradiance", "module_temperature")


def fall(symptoms: Symptoms, *, at_once: bool) -> list[Evidence]:
    """Return whether the yield of the sun fell from one minute to the next, or little by little."""
    if symptoms.frozen.keys() & set(NEEDS):
        return []
    yields = yield_of_sun(*(symptoms.known(name) for name in NEEDS))
    known = np.flatnonzero(np.isfinite(yields))
    if len(known) < 4 * _ROWS or not symptoms.has("yield_of_sun"):
        return []
    yields = yields[known]
    usual = symptoms.symptom("yield_of_sun").expected
    means = np.convolve(yields, np.ones(_ROWS) / _ROWS, "valid")
    drops = means[: -2 * _ROWS] - means[2 * _ROWS :]
    place = int(np.argmax(drops))
    missing = usual - float(np.median(yields[-_ROWS:]))
    sharp = missing > 0.0 and float(drops[place]) > _SHARE * missing
    time_ns = int(symptoms.window.times_ns[known[place + _ROWS]])
    return [
        *_one_moves(symptoms),
        *([] if at_once else _off_by_the_same(symptoms, usual)),
        Evidence(
            what="at_once" if sharp else "slowly", signal="yield_of_sun", start_ns=time_ns, end_ns=time_ns,
            value=float(drops[place]), expected=missing, unit="kW", weight=3.0 if sharp == at_once else -3.0,
        ),
    ]  # fmt: skip


def _one_moves(symptoms: Symptoms) -> list[Evidence]:
    """Say that of sun and power one has lately moved without the other: one of the two is not measured."""
    power, sun = symptoms.known("power"), symptoms.known("irradiance")
    rows = np.flatnonzero((sun > SUN_W_M2) & np.isfinite(power))[-_TOGETHER:]
    if len(rows) < _TOGETHER:
        return []
    swings = sorted(float(np.ptp(values) / np.mean(values)) for values in (power[rows], sun[rows]))
    if swings[1] < UNSURE or swings[0] > _ALIKE * swings[1]:
        return []
    return [Evidence(what="one_moves", signal="irradiance", value=swings[0], expected=swings[1], weight=-15.0)]


def _off_by_the_same(symptoms: Symptoms, usual: float) -> list[Evidence]:
    """Say that power is short by the same in much and in little sun: dust takes a share, a sensor is off by a value."""
    power, sun, temperature = (symptoms.known(name) for name in NEEDS)
    full = at_full_sun(sun, temperature)
    rows = np.flatnonzero((sun > SUN_W_M2) & np.isfinite(power) & np.isfinite(full))[-_SINCE:]
    if len(rows) < _TOGETHER or np.ptp(full[rows]) < _SPAN * np.mean(full[rows]):
        return []
    slope, offset = np.polyfit(full[rows], power[rows], 1)
    missing = (usual - slope) * float(np.mean(full[rows])) - offset
    if missing <= 0.0 or -offset < _SHARE * missing:
        return []
    return [
        Evidence(what="everywhere", signal="irradiance", value=float(offset), expected=0.0, unit="kW", weight=-12.0)
    ]
