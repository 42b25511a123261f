"""What soiling and a lost string have in common, less power from the same sun, and what tells them apart."""

import numpy as np

from cloud.diagnosis.detection import Symptoms
from cloud.diagnosis.finding import Evidence
from cloud.diagnosis.formulas import yield_of_sun

_ROWS = 6
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
    missing = usual - float(np.mean(yields[-_ROWS:]))
    sharp = missing > 0.0 and float(drops[place]) > _SHARE * missing
    time_ns = int(symptoms.window.times_ns[known[place + _ROWS]])
    return [
        Evidence(
            what="at_once" if sharp else "slowly", signal="yield_of_sun", start_ns=time_ns, end_ns=time_ns,
            value=float(drops[place]), expected=missing, unit="kW", weight=3.0 if sharp == at_once else -3.0,
        )
    ]  # fmt: skip
