"""Values, units and times as OPC UA has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from asyncua import ua

from simulators.machine import Signal, Value

TYPES: Final = {
    "double": ua.VariantType.Double,
    "int64": ua.VariantType.Int64,
    "boolean": ua.VariantType.Boolean,
    "string": ua.VariantType.String,
}
NULL: Final = {"double": 0.0, "int64": 0, "boolean": False, "string": ""}
SILENT: Final = ua.StatusCode(ua.StatusCodes.BadSensorFailure)
GOOD: Final = ua.StatusCode()
# UNECE recommendation 20, as OPC 10000-8 wants it: common code read as a number in base 256
_UNECE: Final = {
    "°C": "CEL",
    "mm": "MMT",
    "bar": "BAR",
    "rpm": "RPM",
    "%": "P1",
    "kW": "KWT",
    "kWh": "KWH",
    "A": "AMP",
    "V": "VLT",
    "s": "SEC",
    "N·m": "NU",
    "mm/s": "C16",
    "m/s²": "MSK",
    "l/min": "L2",
    "kN": "B47",
    "°": "DD",
    "kg": "KGM",
    "kPa": "KPA",
    "µm": "4H",
    "m³/h": "MQH",
    "m/s": "MTS",
    "Hz": "HTZ",
}


class Frozen(ua.DataValue):  # type: ignore[misc]
    """A value that never changes after it was made, so that asyncua's copy per monitored item may be the value itself.

    The copy (copy.deepcopy) is what limits asyncua's server: 13k values per second with it, 31k without.
    """

    __slots__ = ()

    def __deepcopy__(self, _memo: dict[int, Any]) -> Frozen:
        return self


def data(signal: Signal, value: Value | None, stamp: datetime) -> ua.DataValue:
    """Return what a client reads: the value with the machine's time, or that the sensor is silent."""
    if value is None:
        return ua.DataValue(ua.Variant(), SILENT, stamp, stamp)
    return Frozen(ua.Variant(value, TYPES[signal.datatype]), GOOD, stamp, stamp)


def unit(text: str) -> ua.EUInformation:
    """Return a unit as OPC 10000-8 codes it."""
    code = _UNECE.get(text, "")
    return ua.EUInformation(
        NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact",
        UnitId=int.from_bytes(code.encode(), "big") if code else -1,
        DisplayName=ua.LocalizedText(text),
        Description=ua.LocalizedText(text),
    )
