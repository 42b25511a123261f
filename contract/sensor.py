"""What stands behind a sensor that measures in blocks: its shaft and the rolling bearings on it, and how that travels.

It is the string metric `Properties/Sensors` of a birth, JSON: `{"spindle": {"speed": "spindle_speed", "bearings":
[{"name": "front", "type": "7014C", "outer": 8.2, "inner": 10.8, "ball": 3.5, "cage": 0.43}]}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

SENSORS: Final = "Properties/Sensors"
MOST_SENSORS: Final = 64
"""Sensors of an asset of which something is said."""
MOST_BEARINGS: Final = 8
"""Bearings behind one sensor."""

Order = Annotated[float, Field(gt=0.0, le=1000.0)]


class _Fact(BaseModel):
    """A reader takes what it knows: later versions may say more."""

    model_config = ConfigDict(frozen=True)


class Bearing(_Fact):
    """A rolling bearing; its outer ring stands still. Orders are passes per turn of the shaft.

    `outer` is BPFO, `inner` BPFI, `cage` FTF, `ball` the spin of a ball (BSF): a defect of one shows at twice that.
    `type` is the designation on the ring.
    """

    name: Annotated[str, Field(max_length=64)] = ""
    type: Annotated[str, Field(max_length=64)] = ""
    outer: Order
    inner: Order
    ball: Order
    cage: Order


class Sensor(_Fact):
    """`speed` is the signal that tells the shaft's rpm; without one it turns at `rpm`, 0: nobody says."""

    speed: Annotated[str, Field(max_length=128)] = ""
    rpm: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    bearings: Annotated[tuple[Bearing, ...], Field(max_length=MOST_BEARINGS)] = ()


Sensors = Annotated[dict[Annotated[str, Field(min_length=1, max_length=128)], Sensor], Field(max_length=MOST_SENSORS)]
_SENSORS: Final = TypeAdapter[dict[str, Sensor]](Sensors)


def format_sensors(sensors: Mapping[str, Sensor]) -> str:
    """Return what is known of sensors as it travels."""
    return _SENSORS.dump_json(dict(sensors), exclude_defaults=True).decode()


def read_sensors(text: object) -> dict[str, Sensor]:
    """Return what a birth says of sensors; nothing when that cannot be understood."""
    try:
        return _SENSORS.validate_json(text) if isinstance(text, str) else {}
    except ValidationError:
        return {}
