"""The entry of a machine in the plant file, with its signals, whatever the driver; drivers extend these models."""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from graphlib import CycleError
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
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from contract.block import MIN_RATE_HZ
from contract.lineprotocol import TYPED
from contract.model import Asset, Datatype, Signal
from contract.sensor import MOST_BEARINGS, MOST_SENSORS, Bearing, Order, Sensor
from contract.topics import TopicError, check_id
from edge import detectors, units
from edge.computed import in_order
from edge.expression import MOST, Expression
from edge.ids import AssetIds
from edge.units import Line
from edge.yaml_lines import WrittenFloat, WrittenInt
from vibration.bearing import KNOWN, Orders, orders

_MOST_VALUES: Final = 1000
_NO_NUMBERS: Final = frozenset((Datatype.STRING, Datatype.BOOLEAN))
_INTEGERS: Final = frozenset(each for each in Datatype if "int" in each)
_SIGNAL_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}\Z")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


def _id(text: str) -> str:
    try:
        return check_id(text)
    except TopicError as error:
        raise ValueError(str(error)) from error


def _scales(factor: float) -> float:
    if not factor:
        raise ValueError("0 makes each value 0")
    return factor


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


def _encoding(text: str) -> str:
    try:
        codec = codecs.lookup(text)
        "".encode(text)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{text!r} is not an encoding of text: write e.g. gbk, latin-1 or utf-16-le") from error
    return codec.name


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
Encoding = Annotated[str, AfterValidator(_encoding)]
Names = dict[str, Text]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Scale = Annotated[Finite, AfterValidator(_scales)]


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


class Quantity(Model):
    """What there is to say of a signal wherever it comes from."""

    datatype: Datatype | None = Field(None, description="stated, or taken from the first value")
    unit: Text = ""
    low: Finite | None = Field(None, description="lower end of the engineering range, in `unit`")
    high: Finite | None = Field(None, description="upper end of the engineering range, in `unit`")
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="the largest change that is not worth sending, in `unit`; 0: everything is sent"
    )
    period_s: Seconds | None = Field(None, description="shortest time between two samples; 0: every sample is sent")
    description: Text = ""

    @property
    def stated(self) -> Datatype | None:
        """The datatype that is known before any value comes."""
        return self.datatype

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        if self.deadband and self.stated in _NO_NUMBERS:
            raise ValueError(f"a {self.stated} has no deadband")
        return self

    def signal(self, name: str, period_s: float, *, writable: bool = False) -> Signal:
        """Return the signal; `period_s` is that of its machine."""
        return Signal(
            name=name,
            datatype=self.stated or Datatype.DOUBLE,
            unit=self.unit,
            low=self.low,
            high=self.high,
            deadband=self.deadband,
            period_s=period_s if self.period_s is None else self.period_s,
            writable=writable,
            description=self.description,
        )


class SignalEntry(Quantity):
    """One signal of a machine. A driver adds where it is found (`node`, `path`, …)."""

    scale: Scale | None = Field(None, description="value = number of the source · scale + offset")
    offset: Finite | None = None
    from_unit: Text = Field("", description="unit of the source (behind scale and offset), converted to `unit`")
    values: Annotated[Mapping[Text, Text], Field(max_length=_MOST_VALUES)] = Field(
        default_factory=dict, description="texts for the numbers of the source: {0: stopped, 1: running}"
    )
    writable: bool = False

    @property
    def stated(self) -> Datatype | None:
        """The datatype that is known before any value comes."""
        if self.datatype is None and self.values:
            return Datatype.STRING
        if self.datatype is None and (self.scale is not None or self.offset is not None or self.from_unit):
            return Datatype.DOUBLE
        return self.datatype

    def line(self) -> Line | None:
        """Return how numbers of the source are converted; None: not at all. Raises UnitError."""
        if self.scale is None and self.offset is None and not self.from_unit:
            return None
        found = units.line(self.from_unit, self.unit) if self.from_unit else Line(Fraction(1), Fraction(0))
        scale, offset = (Fraction(repr(each)) for each in (self.scale or 1.0, self.offset or 0.0))
        return Line(scale * found.factor, offset * found.factor + found.offset)

    @field_validator("from_unit")
    @classmethod
    def _check_unit(cls, text: str, info: ValidationInfo) -> str:
        if text:
            unit = info.data.get("unit", "")
            if not unit:
                raise ValueError("state `unit` too, the one that it is converted to")
            units.line(text, unit)
        return text

    @model_validator(mode="after")
    def _check_conversion(self) -> Self:
        line = self.line()
        if line is not None and self.values:
            raise ValueError("`values` are texts: they have no scale, offset or from_unit")
        if line is not None and self.datatype in (Datatype.STRING, Datatype.BOOLEAN, Datatype.DATETIME):
            raise ValueError(f"a {self.datatype} has no scale, offset or from_unit")
        if (
            line is not None
            and self.datatype in _INTEGERS
            and (line.factor.denominator, line.offset.denominator) != (1, 1)
        ):
            raise ValueError(f"what is converted is not always whole: state `datatype: double`, not {self.datatype}")
        if self.values and self.datatype not in (None, Datatype.STRING):
            raise ValueError(f"`values` are texts: state `datatype: string`, or none, not {self.datatype}")
        words = list(self.values.values())
        if self.writable and len(set(words)) != len(words):
            raise ValueError("`values` has a text twice: which number is to be written then?")
        return self


class ComputedEntry(Quantity):
    """A signal that is computed from others of its machine."""

    expression: Annotated[Text, Field(max_length=MOST)] = Field(
        description="over names of signals: power_a + power_b; [spindle/load] where a name has more than letters"
    )

    @field_validator("expression")
    @classmethod
    def _check_expression(cls, text: str) -> str:
        Expression(text)
        return text


def _expression_alone(value: Any) -> Any:
    """Let an expression stand for a signal of which there is no more to say."""
    return {"expression": value} if isinstance(value, str) else value


class BearingEntry(Model):
    """A rolling bearing whose outer ring stands still: its type, its geometry, or its orders; with those a free type.

    Orders are passes per turn of the shaft.
    """

    name: Annotated[str, BeforeValidator(as_written), AfterValidator(_id)] | None = Field(
        None, description="which one it is, where there are several: front, rear"
    )
    type: Annotated[str, BeforeValidator(as_written), Field(max_length=64)] = Field(
        "", description="the designation on its ring, like 6205"
    )
    balls: Annotated[int, Field(ge=3, le=1000)] | None = Field(None, description="balls or rollers")
    ball_mm: Annotated[float, Field(gt=0, le=10_000)] | None = Field(None, description="diameter of one")
    pitch_mm: Annotated[float, Field(gt=0, le=100_000)] | None = Field(None, description="diameter of their circle")
    contact_deg: Annotated[float, Field(ge=0, lt=90)] = Field(0.0, description="contact angle")
    outer: Order | None = Field(None, description="BPFO")
    inner: Order | None = Field(None, description="BPFI")
    ball: Order | None = Field(None, description="BSF, the spin of a ball; not twice that")
    cage: Order | None = Field(None, description="FTF")

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.orders()
        return self

    def orders(self) -> Orders:
        """Return its orders; raise ValueError when the entry says too little, or what cannot be."""
        if self.balls is not None and self.ball_mm is not None and self.pitch_mm is not None:
            if self.outer or self.inner or self.ball or self.cage:
                raise ValueError("state its geometry or its orders, not both")
            return orders(self.balls, self.ball_mm, self.pitch_mm, self.contact_deg)
        if self.outer is not None and self.inner is not None and self.ball is not None and self.cage is not None:
            if self.outer >= self.inner:
                raise ValueError("`outer` (BPFO) is less than `inner` (BPFI): the ring that turns is passed more often")
            if self.cage >= 0.5 or self.outer + self.inner < 3.0:
                raise ValueError("a `cage` (FTF) turns less than half as fast as its shaft, with 3 balls at least")
            return Orders(self.outer, self.inner, self.ball, self.cage)
        if not self.type or self.model_fields_set - {"name", "type"}:
            raise ValueError(
                "state a `type`, or its geometry (`balls`, `ball_mm`, `pitch_mm`, `contact_deg`), "
                "or its orders (`outer`, `inner`, `ball`, `cage`)"
            )
        if self.type not in KNOWN:
            raise ValueError(f"no bearing {_hint(self.type, KNOWN)}; of others state the geometry or the orders")
        return KNOWN[self.type]

    def fact(self) -> Bearing:
        """Return what there is to say of it to others."""
        said = self.orders()
        return Bearing(
            name=self.name or "",
            type=self.type,
            outer=said.outer,
            inner=said.inner,
            ball=said.ball,
            cage=said.cage,
        )


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
    speed: SignalName | None = Field(None, description="the signal with the rpm of the shaft behind the sensor")
    rpm: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None, description="of a shaft whose speed does not change"
    )
    bearings: Annotated[list[BearingEntry], Field(max_length=MOST_BEARINGS)] = Field(
        default_factory=list, description="those on the shaft, as the data sheet says"
    )
    description: Text = ""

    @model_validator(mode="after")
    def _check_shaft(self) -> Self:
        if self.speed is not None and self.rpm is not None:
            raise ValueError("state `speed` or `rpm`, not both")
        if self.bearings and self.speed is None and self.rpm is None:
            raise ValueError("bearings need the speed of their shaft: state `speed`, the signal with its rpm, or `rpm`")
        names = [bearing.name for bearing in self.bearings]
        if len(set(names)) != len(names):
            raise ValueError("several bearings need a `name` each, all different")
        return self

    def fact(self) -> Sensor:
        """Return what stands behind the sensor."""
        return Sensor(
            speed=self.speed or "", rpm=self.rpm or 0.0, bearings=tuple(bearing.fact() for bearing in self.bearings)
        )


class DetectorEntry(Model):
    """One entry under `detectors:` of a machine. A detector adds its options."""

    kind: str = Field(description="the detector")
    name: Annotated[str, BeforeValidator(as_written), AfterValidator(_id)] = Field(
        description="what it finds is called so: the name of the condition, and who tells it"
    )

    def features(self, sensors: Mapping[str, Sensor]) -> Sequence[Signal]:
        """Return the signals that it adds to its asset; `sensors` are those of which the plant file says something."""
        return ()

    def signals(self) -> Mapping[str, str]:
        """Return the signals that it looks at, by the option that names each; `by.0` is the first entry of a list."""
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


_NOTHING: Final = Sensor()


def _hint(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if not names:
        return f"{word!r}; there is none"
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"{word!r}; did you mean {near[0]!r}?" if near else f"{word!r}; have: {', '.join(names[:20])}"


def _at(loc: tuple[str | int, ...], value: str, text: str) -> ValidationError:
    """Return the error of an option inside an entry."""
    # braces in the text of a custom error are places of its context
    error = PydanticCustomError("value_error", "{error}", {"error": text})
    return ValidationError.from_exception_data("entry", [InitErrorDetails(type=error, loc=loc, input=value)])


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
    computed: Mapping[
        SignalName,
        Annotated[ComputedEntry, BeforeValidator(_expression_alone, json_schema_input_type=ComputedEntry | str)],
    ] = Field(default_factory=dict, description="signals that are computed from others")
    blocks: Annotated[Mapping[SignalName, BlockEntry], AfterValidator(_none)] = Field(
        default_factory=dict, description="sensors that measure in blocks; a driver that gives them states its own"
    )
    detectors: list[Annotated[DetectorEntry, BeforeValidator(read_detector)]] = Field(
        default_factory=list, description="what looks at the signals and blocks on their way"
    )

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """The signals of the machine and those that are computed."""
        return {**self.signals, **self.computed}

    def expressions(self) -> dict[str, Expression]:
        """Return the expressions of the computed signals."""
        return {name: Expression(entry.expression) for name, entry in self.computed.items()}

    @model_validator(mode="after")
    def _check_computed(self) -> Self:
        expressions = self.expressions()
        for name, expression in expressions.items():
            loc = ("computed", name)
            if name in self.signals:
                raise _at(loc, name, "a signal of this name stands under `signals:`, too")
            for each in sorted(expression.names - self.quantities.keys()):
                raise _at((*loc, "expression"), each, f"no signal {_hint(each, self.quantities)}")
        try:
            in_order(expressions)
        except CycleError as error:
            circle = error.args[1]
            raise _at(("computed", circle[0]), circle[0], f"it needs itself: {' needs '.join(circle[::-1])}") from error
        return self

    @model_validator(mode="after")
    def _check_state(self) -> Self:
        if self.state and self.state not in self.quantities:
            raise ValueError(f"state: no signal {_hint(self.state, self.quantities)}")
        return self

    @model_validator(mode="after")
    def _check_speeds(self) -> Self:
        for sensor, entry in self.blocks.items():
            if entry.speed is None:
                continue
            loc = ("blocks", sensor, "speed")
            if entry.speed not in self.quantities:
                raise _at(loc, entry.speed, f"no signal {_hint(entry.speed, self.quantities)}")
            if (datatype := self.quantities[entry.speed].stated) in _NO_NUMBERS:
                raise _at(loc, entry.speed, f"{entry.speed!r} is no number: its datatype is {datatype}")
        if len(self._facts()) > MOST_SENSORS:
            raise ValueError(f"blocks: what stands behind a sensor can be said of {MOST_SENSORS} of a machine")
        return self

    def _facts(self) -> dict[str, Sensor]:
        facts = {name: entry.fact() for name, entry in self.blocks.items()}
        return {name: fact for name, fact in facts.items() if fact != _NOTHING}

    @model_validator(mode="after")
    def _check_detectors(self) -> Self:
        said = self.quantities
        known, names, facts = set(said), set[str](), self._facts()
        for index, entry in enumerate(self.detectors):
            loc = ("detectors", index)
            for option, signal in entry.signals().items():
                place = (*loc, *(int(part) if part.isdigit() else part for part in option.split(".")))
                if signal not in known:
                    raise _at(place, signal, f"no signal {_hint(signal, known)}")
                stated = said[signal].stated if signal in said else None
                if option in entry.numbers() and stated in _NO_NUMBERS:
                    raise _at(place, signal, f"{signal!r} is no number: its datatype is {stated}")
            for option, sensor in entry.sensors().items():
                if sensor not in self.blocks:
                    raise _at((*loc, option), sensor, f"no sensor {_hint(sensor, self.blocks)} under `blocks:`")
            added = {signal.name for signal in entry.features(facts)}
            if entry.name in names or added & known:
                text = "stands twice: what finds or adds something has a name of its own"
                raise _at((*loc, "name"), entry.name, text)
            names.add(entry.name)
            known |= added
        return self

    def asset_ids(self, name: str) -> list[str]:
        """Return the assets that this entry, whose key is `name`, is known to have before any data comes."""
        return [name]

    def asset(self, place: Place, asset_id: str) -> Asset:
        """Return the asset `asset_id` of this machine with the datatypes that are known from the plant file."""
        facts = self._facts()
        signals = (
            *(entry.signal(name, self.period_s, writable=entry.writable) for name, entry in self.signals.items()),
            *(entry.signal(name, self.period_s) for name, entry in self.computed.items()),
            *(signal for entry in self.detectors for signal in entry.features(facts)),
        )
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
            sensors=facts,
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
    `is_visit`: it only looks once while the edge, maybe, serves the same machine: it goes on with no session of the
    edge's, and keeps nothing.
    """

    home: Path
    folder: Path
    ids: AssetIds = field(default_factory=AssetIds)
    is_visit: bool = False
