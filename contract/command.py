"""Commands: what a person or a program wants of an edge, and the reply. Down they are never kept, never repeated.

A command goes down as the string metric `Spool/Command` of an NCMD, JSON. Its reply comes up as the string metric
`Spool/Reply` of the node, JSON, spooled and acknowledged like samples, so that no verdict is lost.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from contract.event import TimeNs
from contract.model import Datatype, Value
from contract.sparkplug import Code, Metric
from contract.text import Line

COMMAND: Final = "Spool/Command"
REPLY: Final = "Spool/Reply"

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]


def _sendable(value: Any) -> Any:
    """Return what JSON can carry; half of a pair of UTF-16, or an integer of more than 64 bits, it cannot."""
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise ValueError(f"it cannot be sent: {error}") from error
    return value


Options = Annotated[dict[str, JsonValue], AfterValidator(_sendable)]
MOST_TAGS: Final = 1000
"""That a probe shows, and an entry is proposed for."""


class CommandError(ValueError):
    """What tells no command or no reply; says why."""


class Write(BaseModel):
    """Set a signal and read it back."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    verb: Literal["write"] = "write"
    signal: Annotated[Line, Field(min_length=1, max_length=128)]
    value: Annotated[Value, AfterValidator(_sendable)]


class Detect(BaseModel):
    """Say what answers at an address: `host`, `host:port` or an URL. `driver`: no other one looks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Literal["detect"] = "detect"
    address: Annotated[Line, Field(min_length=1, max_length=1000)]
    driver: Annotated[Line, Field(max_length=63)] = ""


class Browse(BaseModel):
    """Say what a machine offers at `path`; with `address`, of one that is in no plant file yet (a probe).

    `options` are those of its driver then, as in a plant file, but for files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Literal["browse"] = "browse"
    path: Annotated[str, Field(max_length=1000)] = ""
    driver: Annotated[Line, Field(max_length=63)] = ""
    address: Annotated[str, Field(max_length=1000)] = ""
    options: Options = Field(default_factory=dict)


class Found(BaseModel):
    """A tag as a probe has shown it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    path: Annotated[str, Field(max_length=1000)]
    address: Annotated[str, Field(max_length=1000)]
    datatype: Datatype | None = None
    value: Annotated[Value | None, AfterValidator(_sendable)] = None
    description: Annotated[str, Field(max_length=1000)] = ""
    unit: Annotated[str, Field(max_length=64)] = ""
    low: float | None = None
    high: float | None = None


class Propose(BaseModel):
    """Say what a plant file would state of a machine with these tags; nothing is asked of it, and nothing written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Literal["propose"] = "propose"
    machine: Annotated[Line, Field(max_length=63)]
    kind: Annotated[Line, Field(max_length=63)] = "machine"
    driver: Annotated[Line, Field(max_length=63)]
    address: Annotated[str, Field(max_length=1000)]
    options: Options = Field(default_factory=dict)
    tags: Annotated[list[Found], Field(min_length=1, max_length=MOST_TAGS)]


class SendBlock(BaseModel):
    """Send the blocks of a sensor that the edge holds in its ring of a time; without a time the newest one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Literal["send_block"] = "send_block"
    sensor: Annotated[Line, Field(min_length=1, max_length=128)]
    start_ns: TimeNs | None = None
    end_ns: TimeNs | None = None


class Apply(BaseModel):
    """Put a machine's entry into the plant file; `based_on` is the hash of the file that the change was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Literal["apply"] = "apply"
    based_on: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    machine: Annotated[Line, Field(max_length=63)]
    entry: Annotated[JsonValue, AfterValidator(_sendable)] = Field(
        description="as it stands in the plant file; null takes the machine out"
    )


Verb = Annotated[Write | Detect | Browse | Propose | SendBlock | Apply, Field(discriminator="verb")]


class Command(BaseModel):
    """A wish with its envelope. It is void after `expires_ns`; `asset` is empty where it is the edge node itself.

    `author` is who wishes it. `created_ns` is when; both times are the cloud's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    asset: Annotated[str, Field(max_length=63)] = ""
    author: Annotated[str, Field(max_length=200)]
    created_ns: TimeNs
    expires_ns: TimeNs
    do: Verb


class Reply(BaseModel):
    """What became of a command. `value` is what was read back after a write; `result` what a verb answers.

    `unknown`: the edge died with it, or the machine did not say; it may have been done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: Id
    outcome: Literal["done", "refused", "expired", "failed", "unknown"]
    reason: Annotated[str, Field(max_length=1000)] = ""
    value: Value | None = None
    result: JsonValue = None
    time_ns: TimeNs = 0


def command_metric(command: Command) -> Metric:
    """Return the metric of an NCMD that carries a command."""
    return Metric(COMMAND, None, Code.STRING, command.model_dump_json(), command.created_ns)


def reply_metric(reply: Reply) -> Metric:
    """Return the metric of an NDATA that carries a reply."""
    return Metric(REPLY, None, Code.STRING, reply.model_dump_json(exclude_defaults=True), reply.time_ns)


def read_command(text: str) -> Command:
    """Return the command that a metric carries; raise CommandError."""
    try:
        return Command.model_validate_json(text)
    except ValidationError as error:
        raise _told(error) from error


def read_reply(text: str) -> Reply:
    """Return the reply that a metric carries; raise CommandError."""
    try:
        return Reply.model_validate_json(text)
    except ValidationError as error:
        raise _told(error) from error


def _told(error: ValidationError) -> CommandError:
    first = error.errors(include_url=False, include_input=False)[0]
    return CommandError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
