"""What every part of the chain means by an asset, a signal and a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, TypeAlias

from contract.sensor import Sensor

Value: TypeAlias = float | int | bool | str

TIME_REPLACED: Final = 512
"""Flag of a quality: the time is that of arrival, as the source's cannot be its time (with GOOD: 704)."""
MAX_TEXT_BYTES: Final = 256 * 1024
"""The longest text of a sample, in bytes of UTF-8: a message with it must pass a broker (1 MiB)."""


class Quality(IntEnum):
    """Quality of a sample, in the numbers of Sparkplug 3.0 (chapter 6.4.13) and OPC DA; `base_quality` has no flags."""

    BAD = 0
    UNCERTAIN = 64
    GOOD = 192
    STALE = 500


def base_quality(quality: int) -> int:
    """Return a quality without its flags: what is asked whether a sample is good."""
    return quality & (TIME_REPLACED - 1)


class Datatype(StrEnum):
    """Scalar datatypes of a signal; the names are those of Sparkplug B in lower case."""

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT = "float"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRING = "string"
    DATETIME = "datetime"

    @property
    def is_text(self) -> bool:
        """Whether a store keeps the signal as text; all others are kept as numbers (datetime: ms since 1970, UTC)."""
        return self is Datatype.STRING


@dataclass(frozen=True, slots=True)
class Signal:
    """One measured or set quantity of an asset.

    `low` and `high` are the engineering range, `deadband` the smallest change that is worth sending (in `unit`),
    `period_s` the shortest time between two samples that are sent (0: every sample). `label` is what the source calls
    it, where that is not the name.
    """

    name: str
    datatype: Datatype = Datatype.DOUBLE
    unit: str = ""
    low: float | None = None
    high: float | None = None
    deadband: float = 0.0
    period_s: float = 0.0
    writable: bool = False
    description: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Asset:
    """A machine at its place in the plant (ISA-95: enterprise, site, area, production line, work cell).

    `kind` (cnc, robot, meter, …) is the measurement under which its samples are stored. `names` are display names by
    language (`{"en": …, "zh": …}`). Ids are lower case `[a-z0-9_-]`: see contract.topics. `label` is what the source
    calls it, where that is not the id: see contract.identity. `state` is the signal that tells its state, where its
    plant file says so, `sensors` what stands behind those that measure in blocks.
    """

    enterprise: str
    site: str
    area: str
    line: str
    id: str
    kind: str
    names: Mapping[str, str] = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()
    label: str = ""
    state: str = ""
    sensors: Mapping[str, Sensor] = field(default_factory=dict)


class Sample(NamedTuple):
    """The value of one signal at one time. `value` is None when the source has none (then quality is not GOOD).

    `status` is the source's own word beside the quality, an OPC UA StatusCode of 32 bits; 0: it says nothing.
    """

    asset: str
    signal: str
    time_ns: int
    value: Value | None
    quality: int = Quality.GOOD
    status: int = 0
