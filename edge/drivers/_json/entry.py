"""What a plant file says of a machine whose messages are JSON (or text): where the values stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, model_validator

from contract.block import Number
from edge import entry as base
from edge.drivers._json.quality import GOOD_BY_DEFAULT

_EXAMPLE: Final = datetime(2024, 2, 29, 13, 14, 15, 123456, UTC)


def _path(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{text!r} is not a JMESPath expression ({why}): write e.g. joints[0].temperature") from error
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:  # also a folder of the data base
        raise ValueError(f"{text!r} is not a time zone: write its IANA name, like Europe/Berlin") from error
    return text


def _format(text: str) -> str:
    try:
        back = datetime.strptime(_EXAMPLE.strftime(text), text)  # noqa: DTZ007 (a local time)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a form of times: write e.g. %d.%m.%Y %H:%M:%S ({error})") from error
    if back.date() != _EXAMPLE.date() or back.hour != _EXAMPLE.hour:
        raise ValueError(f"{text!r} does not tell day and hour: write e.g. %d.%m.%Y %H:%M:%S")
    return text


def _path_alone(value: Any) -> Any:
    """Let a path stand for an option that has no more."""
    return {"path": value} if isinstance(value, str) else value


def _severity(value: Any) -> Any:
    """Let `severity: 500` stand for one that is always the same."""
    return {"otherwise": value} if isinstance(value, int) else _path_alone(value)


def _texts(value: Any) -> Any:
    """Let `text: message` stand for a text of which nobody says the language."""
    return {"": value} if isinstance(value, str) else value


Path = Annotated[str, AfterValidator(_path)]
Word = StrictBool | StrictInt | str


class TimeOption(base.Model):
    """Where a message says when its values were taken; without it the time of arrival counts."""

    path: Path
    unit: Literal["s", "ms", "us", "ns", "iso"] = Field(
        "ms", description="of numbers (since 1970 UTC, also as text); iso: text in ISO 8601, which is read in any case"
    )
    zone: Annotated[str, AfterValidator(_zone)] | None = Field(
        None, description="IANA name of the zone of texts that state none, like Europe/Berlin; else UTC"
    )
    format: Annotated[str, AfterValidator(_format)] | None = Field(
        None, description="form of texts that are not ISO 8601, as of strptime, like %d.%m.%Y %H:%M:%S"
    )


class QualityOption(base.Model):
    """Where a message says whether its values are good; where it says nothing they are."""

    path: Path
    good: tuple[Word, ...] = Field(
        GOOD_BY_DEFAULT, min_length=1, description="what means good; 0 for OPC UA status codes"
    )


QualityEntry = Annotated[QualityOption, BeforeValidator(_path_alone, json_schema_input_type=QualityOption | str)]


class SignalEntry(base.SignalEntry):
    """A signal and where it stands in the messages."""

    path: Path = Field("@", description="JMESPath in the message; @: the message itself is the value")
    decimal: Literal[".", ","] | None = Field(
        None,
        description="the value is a number as text with this sign, maybe with a unit behind",
    )
    quality: QualityEntry | None = Field(None, description="where the message says whether this value is good")


class StateOption(base.Model):
    """Where a message says whether a condition holds, and in which words (of any case)."""

    path: Path
    active: tuple[Word, ...] = (True, 1, "active", "alarm", "fault", "on", "raised", "set", "true")
    cleared: tuple[Word, ...] = (False, 0, "cleared", "false", "gone", "inactive", "normal", "off", "ok", "reset")
    acknowledged: tuple[Word, ...] = ("ack", "acked", "acknowledged")


class SeverityOption(base.Model):
    """How severe an event is, 1 to 1000: as a message says, in numbers or in `words`, or `otherwise`."""

    path: Path | None = None
    words: Mapping[base.Text, Annotated[int, Field(ge=1, le=1000)]] = Field(default_factory=dict)
    otherwise: Annotated[int, Field(ge=1, le=1000)] = 500


class EventEntry(base.Model):
    """An event, or a sort of conditions, and where the messages say what there is to say of it."""

    when: Path | None = Field(None, description="only where this finds something that is neither false nor null")
    items: Path | None = Field(None, description="JMESPath of a list in the message; each entry is an event")
    condition: Path | None = Field(None, description="what tells several conditions apart: a number, a code")
    state: Annotated[StateOption, BeforeValidator(_path_alone, json_schema_input_type=StateOption | str)] | None = (
        Field(None, description="whether the condition holds; not stated: the event just happens")
    )
    severity: Annotated[
        SeverityOption, BeforeValidator(_severity, json_schema_input_type=SeverityOption | int | str)
    ] = SeverityOption()
    text: Annotated[Mapping[str, Path], BeforeValidator(_texts, json_schema_input_type=Mapping[str, Path] | str)] = (
        Field(default_factory=dict, description="one, or several by language: {en: message.en, zh: message.zh}")
    )
    id: Path | None = Field(None, description="what the source calls the event; a repeat of it is left out")
    time: TimeOption | None = Field(None, description="when it happened; not stated: `time` of the machine")
    values: Mapping[base.Text, Path] | None = Field(
        None, description="what else of the message is kept, by name; not stated: its plain values, {}: nothing"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.condition is not None and self.state is None:
            raise ValueError("a condition needs a `state`: where the message says whether it holds")
        return self


class BlockEntry(base.BlockEntry):
    """A sensor that measures in blocks, and where its numbers stand in the messages."""

    payload: Literal["json", "binary"] = "json"
    path: Path = Field("values", description="JMESPath of the list of numbers, in JSON")
    number: Number = Field("float32", description="what each number is: in a binary message, and as it is kept")
    byte_order: Literal["little", "big"] = Field("little", description="of a binary message")
    skip_bytes: Annotated[int, Field(ge=0, le=65_536)] = Field(0, description="before the first number of a binary one")
    scale: base.Scale = Field(1.0, description="value = number · scale, in `unit`")
    rate: Path | None = Field(None, description="where the message says `rate_hz`")
    start: TimeOption | None = Field(
        None, description="when the first number was measured; not stated: `time` of the machine, or by the arrival"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rate_hz is None and self.rate is None:
            raise ValueError("state `rate_hz`, or under `rate` where the message says it")
        if self.rate_hz is not None and self.rate is not None:
            raise ValueError("state `rate_hz` or `rate`, not both")
        if self.payload == "binary" and (self.rate is not None or self.start is not None):
            raise ValueError("a binary message says neither `rate` nor `start`: state `rate_hz`")
        return self


class CsvOption(base.Model):
    """How messages of CSV are written."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = Field(True, description="the first line names the columns; else they are called 1, 2, …")
    columns: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), description="names of the columns")


class ShapeOption(base.Model):
    """In which shape a message has its values, where they do not stand under their names; each is a JMESPath.

    `columns`: an object of lists, an entry of each makes an item. `names` and `values`: two lists that belong together.
    `header` and `rows`: a list of names, and a list of lists, each of which makes an item.
    """

    columns: Path | None = None
    names: Path | None = None
    values: Path | None = None
    header: Path | None = None
    rows: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model_fields_set not in ({"columns"}, {"names", "values"}, {"header", "rows"}):
            raise ValueError("state `columns`, or `names` and `values`, or `header` and `rows`")
        return self


class Entry(base.Entry):
    """A machine whose messages are JSON, or another text."""

    payload: Literal["json", "text", "csv", "line_protocol", "senml"] = Field(
        "json", description="text: a bare number or word; csv, line_protocol and senml: each row counts as a message"
    )
    csv: CsvOption | None = Field(None, description="how CSV is written; not stated: commas, and a header")
    shape: ShapeOption | None = Field(
        None, description="where values do not stand under their names: lists of columns, of names and values, of rows"
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="numbers are texts with this sign, maybe with separators of thousands and a unit behind"
    )
    items: Path | None = Field(None, description="JMESPath of a list in the message; each entry counts as a message")
    time: TimeOption | None = None
    quality: QualityEntry | None = Field(None, description="where a message says whether its values are good")
    encoding: base.Encoding | None = Field(None, description="of texts that are not UTF-8, like gbk or latin-1")
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_payload(self) -> Self:
        if self.csv is not None and self.payload != "csv":
            raise ValueError("`csv` says how CSV is written: state `payload: csv`, too")
        if self.payload != "json" and self.shape is not None:
            raise ValueError("`shape` is of JSON: leave it out, or `payload`")
        if self.shape is not None and self.items is not None:
            raise ValueError("state `shape` or `items`, not both: a shape makes items of its own")
        if self.payload in ("line_protocol", "senml") and self.time is not None and self.time.path != "time":
            raise ValueError(f"{self.payload} has its own time: leave out `time`, or state `unit` with `path: time`")
        return self
