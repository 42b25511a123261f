"""What a plant file says of a machine whose messages are JSON (or text): where the values stand in them."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt

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


def _encoding(text: str) -> str:
    try:
        codec = codecs.lookup(text)
        "".encode(text)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{text!r} is not an encoding of text: write e.g. gbk, latin-1 or utf-16-le") from error
    return codec.name


def _quality(value: Any) -> Any:
    """Let `quality: q` stand for the path alone."""
    return {"path": value} if isinstance(value, str) else value


Path = Annotated[str, AfterValidator(_path)]


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
    good: tuple[StrictBool | StrictInt | str, ...] = Field(
        GOOD_BY_DEFAULT, min_length=1, description="what means good; 0 for OPC UA status codes"
    )


QualityEntry = Annotated[QualityOption, BeforeValidator(_quality, json_schema_input_type=QualityOption | str)]


class SignalEntry(base.SignalEntry):
    """A signal and where it stands in the messages."""

    path: Path = Field("@", description="JMESPath in the message; @: the message itself is the value")
    quality: QualityEntry | None = Field(None, description="where the message says whether this value is good")


class Entry(base.Entry):
    """A machine whose messages are JSON, or text."""

    payload: Literal["json", "text"] = Field("json", description="text: a bare number or word")
    items: Path | None = Field(None, description="JMESPath of a list in the message; each entry counts as a message")
    time: TimeOption | None = None
    quality: QualityEntry | None = Field(None, description="where a message says whether its values are good")
    encoding: Annotated[str, AfterValidator(_encoding)] | None = Field(
        None, description="of texts that are not UTF-8, like gbk or latin-1"
    )
    signals: Mapping[base.SignalName, SignalEntry] = Field(default_factory=dict)
