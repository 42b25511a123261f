"""From one unit to another: a factor and an offset, as exact numbers; units as people, UCUM or UNECE write them."""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from functools import cache
from typing import Any, Final, NamedTuple

_MOST: Final = 40
_POWER: Final = re.compile(r"(?:\*\*|\^)\s*[-+]?\d{2}|(?:\*\*|\^).*(?:\*\*|\^)")
_WORDS: Final = {
    "Nm": "N*m", "kNm": "kN*m", "m3/h": "m**3/h", "m3/s": "m**3/s", "m3/min": "m**3/min", "m3": "m**3", "m2": "m**2",
    "mm2": "mm**2", "m/s2": "m/s**2", "r/min": "rpm", "U/min": "rpm", "1/min": "1/min", "var": "V*A", "kvar": "kV*A",
    "VAr": "V*A", "kVAr": "kV*A", "varh": "V*A*h", "kvarh": "kV*A*h", "inch": "in", "\u00b0": "deg", "\u2103": "degC",
    "\u2109": "degF",
}  # fmt: skip
_UNECE: Final = {
    "CEL": "degC", "FAH": "degF", "KEL": "K", "BAR": "bar", "MBR": "mbar", "PAL": "Pa", "KPA": "kPa", "MPA": "MPa",
    "PS": "psi", "MTR": "m", "MMT": "mm", "CMT": "cm", "4H": "um", "INH": "in", "FOT": "ft", "GRM": "g", "KGM": "kg",
    "TNE": "t", "LBR": "lb", "SEC": "s", "MIN": "min", "HUR": "h", "C26": "ms", "HTZ": "Hz", "KHZ": "kHz", "RPM": "rpm",
    "MTS": "m/s", "C16": "mm/s", "2M": "cm/s", "2X": "m/min", "MSK": "m/s**2", "NEW": "N", "B47": "kN", "NU": "N*m",
    "WTT": "W", "KWT": "kW", "MAW": "MW", "WHR": "W*h", "KWH": "kW*h", "MWH": "MW*h", "JOU": "J", "KJO": "kJ",
    "AMP": "A", "4K": "mA", "VLT": "V", "2Z": "mV", "KVT": "kV", "VA": "V*A", "KVA": "kV*A", "OHM": "ohm", "LTR": "l",
    "MTQ": "m**3", "MQH": "m**3/h", "MQS": "m**3/s", "L2": "l/min", "DD": "deg", "C81": "rad", "P1": "percent",
}  # fmt: skip
"""Common codes of UNECE Recommendation 20, as OPC UA's EUInformation has them."""


class UnitError(ValueError):
    """A unit that is not known, or none that the other one can be converted to; says why."""


class Line(NamedTuple):
    """value in the one unit = value in the other · `factor` + `offset`."""

    factor: Fraction
    offset: Fraction


@cache
def line(source: str, target: str) -> Line:
    """Return how values in `source` become values in `target`; raise UnitError."""
    one, other = _parsed(source), _parsed(target)
    quantity = _registry().Quantity
    try:
        at = [Fraction(quantity(Fraction(each), one).to(other).magnitude) for each in range(3)]
    except Exception as error:  # pint raises what it comes upon: of logarithms, of offsets in products
        if type(error).__name__ == "DimensionalityError":
            raise UnitError(f"{source!r} cannot be converted to {target!r}: they measure different things") from error
        raise UnitError(f"{source!r} is not converted to {target!r} by a factor and an offset") from error
    if at[2] - at[1] != at[1] - at[0]:
        raise UnitError(f"{source!r} is not converted to {target!r} by a factor and an offset")
    return Line(at[1] - at[0], at[0])


@cache
def _registry() -> Any:
    import pint  # noqa: PLC0415 (0.3 s, for plants that convert units)

    return pint.UnitRegistry(non_int_type=Fraction, autoconvert_offset_to_baseunit=True, cache_folder=None)


@cache
def _parsed(text: str) -> Any:
    """Return a unit of the library; raise UnitError with the nearest one that is known."""
    written = _WORDS.get(text, text)
    if len(text) <= _MOST and text.strip() and not _POWER.search(written):
        for spelling in (written, _UNECE.get(text), _of_ucum(text)):
            try:
                if spelling:
                    return _registry().parse_units(spelling)
            except Exception:  # noqa: BLE001, S112 (of odd texts it raises what its parts come upon)
                continue
    known = sorted({*_WORDS, *_UNECE, *_EXAMPLES, *(each for each in dir(_registry()) if len(each) > 3)})
    near = difflib.get_close_matches(text[:_MOST], known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; write e.g. {', '.join(_EXAMPLES)}"
    raise UnitError(f"no unit {text[:_MOST]!r} is known{hint}")


def _of_ucum(text: str) -> str | None:
    """Return what a code of UCUM (`Cel`, `[degF]`, `m/s2`) is called by the other library."""
    from ucumvert import PintUcumRegistry  # noqa: PLC0415

    try:
        return str(_ucum(PintUcumRegistry).from_ucum(text).units)
    except Exception:  # noqa: BLE001 (a parser's many errors)
        return None


@cache
def _ucum(make: Any) -> Any:
    return make()


_EXAMPLES: Final = (
    "degC", "degF", "K", "bar", "mbar", "psi", "kPa", "mm", "in", "mm/s", "m/min", "rpm", "kW", "kWh", "N*m", "A", "V",
)  # fmt: skip
