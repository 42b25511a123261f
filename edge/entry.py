"""The entry of a machine in the plant file, with its signals, whatever the driver; drivers extend these models."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from contract.block import MIN_RATE_HZ
from contract.lineprotocol import TYPED
from contract.model import Asset, Datatype, Signal
from contract.topics import TopicError, check_id
from edge import detectors
from edge.ids import AssetIds
from edge.yaml_lines import WrittenFloat, WrittenInt

_SIGNAL_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}\Z")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


def _id(text: str) -> str:
    try:
        return check_id(text)
    except TopicError as error:
        raise ValueError(str(error)) from error


def _signal_name(text: str) -> str:
    if not _SIGNAL_NAME.match(text):
        raise ValueError(f"{text!r} is not a signal name: use 1 to 128 of A-Z, a-z, 0-9, _ . / and -")
    if text.endswith((".quality", ".status")):
        raise ValueError(f"{text!r}: names that end in .quality or .status are used for those of signals")
    return text


def _kind(text: str) -> str:
    if not _KIND.match(text) or text.endswith(TYPED):
        raise ValueError(
            f"{text!r} is not a kind: use a-z, 0-9 and _, the first a letter, not ending in _text, _bool, _int or _uint"
        )
    return text


def as_written(value: Any) -> Any:
    """Let `en: 5` be the text "5", as everyone expects of a name, and `1.10` not 1.1."""
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.written
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Id = Annotated[str, BeforeValidator(as_written), AfterValidator(_id)]
SignalName = Annotated[str, BeforeValidator(as_written), AfterValidator(_signal_name)]
Kind = Annotated[str, AfterValidator(_kind)]
IS_FILE: Final = "a file"
File = Annotated[str, Field(min_length=1), IS_FILE]
"""A file (or folder) that must be there, relative to the plant file; `shopfloor check` looks."""
Text = Annotated[str, BeforeValidator(as_written)]
Names = dict[str, Text]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def on_or_off(value: Any) -> Any:
    """Let `true` stand for an option with all of its defaults, `false` for none."""
    return ({} if value else None) if isinstance(value, bool) else value


def with_port(text: str, what: str, ports: Mapping[str, int]) -> str:
    """Return an address that has a port, that of its scheme in `ports` when it states none; raise ValueError."""
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    if parts.scheme not in ports or not host or port == 0 or not text.isprintable() or " " in text:
        forms = ", or ".join(f"{scheme}://host:port (without a port: {number})" for scheme, number in ports.items())
        raise ValueError(f"{text!r} is not {what}: write {forms}")
    return (
        text
        if port is not None
        else parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{ports[parts.scheme]}").geturl()
    )


class Model(BaseModel):
    """A part of the plant file: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignalEntry(Model):
    """One signal of a machine. A driver adds where it is found (`node`, `path`, …)."""

    datatype: Datatype | None = Field(None, description="stated, or taken from the first value")
    unit: Text = ""
    low: Finite | None = Field(None, description="lower end of the engineering range, in `unit`")
    high: Finite | None = Field(None, description="upper end of the engineering range, in `unit`")
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="the largest change that is not worth sending, in `unit`; 0: everything is sent"
    )
    period_s: Seconds | None = Field(None, description="shortest time between two samples; 0: every sample is sent")
    writable: bool = False
    description: Text = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        if self.deadband and self.datatype in (Datatype.STRING, Datatype.BOOLEAN):
            raise ValueError(f"a {self.datatype} has no deadband")
        return self


class BlockEntry(Model):
    """One sensor of a machine that measures in blocks. A driver adds where it is found (`node`, `path`, …)."""

    rate_hz: Annotated[float, Field(ge=MIN_RATE_HZ, le=1e9)] | None = Field(
        None, description="samples a second; not stated: as the source says"
    )
    unit: Text = ""
    send_every_s: Seconds = Field(0.0, description="one block is sent each so often; 0: when it is asked for alone")
    keep_minutes: Annotated[float, Field(gt=0, le=1440)] = Field(
        30.0, description="so long the edge holds each block, for whoever asks"
    )
    description: Text = ""


class DetectorEntry(Model):
    """One entry under `detectors:` of a machine. A detector adds its options."""

    kind: str = Field(description="the detector")
    name: Annotated[str, BeforeValidator(as_written), AfterValidator(_id)] = Field(
        description="what it finds is called so: the name of the condition, and who tells it"
    )

    def features(self) -> Sequence[Signal]:
        """Return the signals that it adds to its asset."""
        return ()

    def signals(self) -> Mapping[str, str]:
        """Return the signals that it looks at, by the option that names each."""
        return {}

    def numbers(self) -> Collection[str]:
        """Return the options whose signal must be a number."""
        return ()

    def sensors(self) -> Mapping[str, str]:
        """Return the sensors whose blocks it looks at, by the option that names each."""
        return {}


def read_detector(entry: Any) -> Any:
    """Return an entry under `detectors:` as the detector that it names reads it.

    Raises UnknownDetectorError and ValidationError.
    """
    kind = entry.get("kind") if isinstance(entry, dict) else None
    return detectors.load(kind).Options.model_validate(entry) if isinstance(kind, str) else entry


_NO_NUMBERS: Final = frozenset((Datatype.STRING, Datatype.BOOLEAN))


def _hint(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"{word!r}; did you mean {near[0]!r}?" if near else f"{word!r}; have: {', '.join(names[:20])}"


def _at(index: int, option: str, value: str, text: str) -> ValidationError:
    """Return the error of an option of a detector."""
    loc = ("detectors", index, option)
    problem = InitErrorDetails(type=PydanticCustomError("value_error", text), loc=loc, input=value)
    return ValidationError.from_exception_data("detectors", [problem])


def _none(blocks: Mapping[str, BlockEntry]) -> Mapping[str, BlockEntry]:
    if blocks:
        raise ValueError("this driver gives no blocks")
    return blocks


class Entry(Model):
    """One entry under `machines:`. A driver adds its options."""

    driver: str
    address: str
    kind: Kind = "machine"
    names: Names = Field(default_factory=dict)
    period_s: Seconds = Field(0.0, description="`period_s` of the signals that do not state their own")
    offline_after_s: Seconds = Field(0.0, description="an asset without data for so long is offline; 0: never")
    state: Text = Field(
        "", description="the signal that tells its state; none: the first of execution, state, status and mode"
    )
    browse_limit: Annotated[int, Field(ge=1, le=100_000)] = 1000
    signals: Mapping[SignalName, SignalEntry] = Field(default_factory=dict)
    blocks: Annotated[Mapping[SignalName, BlockEntry], AfterValidator(_none)] = Field(
        default_factory=dict, description="sensors that measure in blocks; a driver that gives them states its own"
    )
    detectors: list[Annotated[DetectorEntry, BeforeValidator(read_detector)]] = Field(
        default_factory=list, description="what looks at the signals and blocks on their way"
    )

    @model_validator(mode="after")
    def _check_state(self) -> Self:
        if self.state and self.state not in self.signals:
            raise ValueError(f"state: no signal {_hint(self.state, self.signals)}")
        return self

    @model_validator(mode="after")
    def _check_detectors(self) -> Self:
        known, names = set(self.signals), set[str]()
        for index, entry in enumerate(self.detectors):
            for option, signal in entry.signals().items():
                if signal not in known:
                    raise _at(index, option, signal, f"no signal {_hint(signal, known)}")
                stated = self.signals[signal].datatype if signal in self.signals else None
                if option in entry.numbers() and stated in _NO_NUMBERS:
                    raise _at(index, option, signal, f"{signal!r} is no number: its datatype is {stated}")
            for option, sensor in entry.sensors().items():
                if sensor not in self.blocks:
                    raise _at(index, option, sensor, f"no sensor {_hint(sensor, self.blocks)} under `blocks:`")
            added = {signal.name for signal in entry.features()}
            if entry.name in names or added & known:
                raise _at(index, "name", entry.name, "stands twice: what finds or adds something has a name of its own")
            names.add(entry.name)
            known |= added
        return self

    def asset_ids(self, name: str) -> list[str]:
        """Return the assets that this entry, whose key is `name`, is known to have before any data comes."""
        return [name]

    def asset(self, place: Place, asset_id: str) -> Asset:
        """Return the asset `asset_id` of this machine with the datatypes that are known from the plant file."""
        signals = tuple(
            Signal(
                name=name,
                datatype=entry.datatype or Datatype.DOUBLE,
                unit=entry.unit,
                low=entry.low,
                high=entry.high,
                deadband=entry.deadband,
                period_s=self.period_s if entry.period_s is None else entry.period_s,
                writable=entry.writable,
                description=entry.description,
            )
            for name, entry in self.signals.items()
        ) + tuple(signal for entry in self.detectors for signal in entry.features())
        return Asset(
            place.enterprise,
            place.site,
            place.area,
            place.line,
            asset_id,
            self.kind,
            self.names,
            signals,
            state=self.state,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands in the plant."""

    enterprise: str
    site: str
    area: str
    line: str

    def __str__(self) -> str:
        return f"{self.area}/{self.line}"


@dataclass(frozen=True, slots=True)
class Context:
    """What a driver knows of the world.

    `home` is for what it keeps, `folder` that of the plant file for relative paths, `ids` has what topics name.
    """

    home: Path
    folder: Path
    ids: AssetIds = field(default_factory=AssetIds)
