"""Commands: wish one, see what became of it; and where gateways ask for those of their edge nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from cloud import patience
from cloud.admission import give_place_back
from cloud.auth.accounts import Principal
from cloud.auth.rights import Action
from cloud.auth.scope import Place
from cloud.chain.routes import check_gateway
from cloud.commands import commands
from cloud.commands.commands import Asked, CursorError, State
from cloud.commands.tables import CommandRow, StepRow
from cloud.deps import Db, GetParts, Now, Reach, demand, need, scope_needed, within
from cloud.parts import Parts
from cloud.places import busy
from cloud.problems import Code, Problem, responses
from cloud.registry.routes import AssetPath, find_asset
from cloud.registry.tables import AssetRow
from cloud.telemetry.times import format_time
from contract.command import Apply, Browse, Command, Detect, Propose, SendBlock, Verb, Write
from contract.model import Value

MAX_COMMANDS: Final = 200
MAX_WAIT_S: Final = 30.0
ACTIONS: Final = {
    "write": Action.WRITE,
    "send_block": Action.WRITE,
    "detect": Action.CONFIGURE,
    "browse": Action.CONFIGURE,
    "propose": Action.CONFIGURE,
    "apply": Action.CONFIGURE,
}
"""What one must be allowed to do for each verb."""

_log = structlog.get_logger(__name__)

_VERB: Final[TypeAdapter[Verb]] = TypeAdapter(Verb)

assets_router = APIRouter(prefix="/assets", tags=["commands"])
router = APIRouter(prefix="/commands", tags=["commands"], dependencies=[need(Action.READ)])
chain_router = APIRouter(prefix="/chain", tags=["chain"], dependencies=[Depends(check_gateway)])

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{8,64}$", examples=["4f1a9c0d2b7e6a35"])]
WaitS = Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="answer at its end, at the latest after so long")]


class _Envelope(BaseModel):
    expires_s: float = Field(10.0, gt=0, le=60, description="void after so many seconds: then it is not done")


class WriteWish(Write, _Envelope):
    """Set a signal and read it back."""


class DetectWish(Detect, _Envelope):
    """Say what answers at an address; only in networks that the edge's configuration allows."""


class ProposeWish(Propose, _Envelope):
    """Say what a plant file would state of a machine with these tags, as a probe has shown them."""


class BrowseWish(Browse, _Envelope):
    """Say what a machine offers at `path`; with `driver` and `address`, of one that is in no plant file yet."""


class SendBlockWish(SendBlock, _Envelope):
    """Send the blocks of a sensor that the edge holds of a time; without a time the newest one."""


class ApplyWish(Apply, _Envelope):
    """Put a machine's entry into the plant file of an edge; null takes it out."""


Wish = Annotated[
    WriteWish | DetectWish | BrowseWish | ProposeWish | SendBlockWish | ApplyWish,
    Body(
        discriminator="verb",
        openapi_examples={
            "write": {"value": {"verb": "write", "signal": "feed_override", "value": 80, "expires_s": 10}}
        },
    ),
]


class StepView(BaseModel):
    """One step of a command."""

    time: str = Field(description="ISO 8601, UTC", examples=["2026-11-23T08:00:00.250000000Z"])
    step: str = Field(description="queued, sent, replied or ended (without a reply)", examples=["replied"])
    by: str = Field(description="who: a user, `gateway`, an edge node, `cloud`", examples=["zhang"])
    outcome: str = Field(examples=["done"])
    reason: str


class CommandView(BaseModel):
    """A command, and what became of it."""

    id: str = Field(examples=["4f1a9c0d2b7e6a35"])
    asset: str = Field(examples=["cnc-01"])
    author: str = Field(examples=["zhang"])
    created: str = Field(examples=["2026-11-23T08:00:00.250000000Z"])
    expires: str = Field(examples=["2026-11-23T08:00:10.250000000Z"])
    do: Verb
    state: State = Field(description="unknown: it may have been done; a late reply corrects it")
    reason: str = Field(description="why it ended so", examples=["feed_override: 400 is above its range, 0 to 150 %"])
    value: Value | None = Field(description="what was read back after a write", examples=[80.0])
    result: JsonValue = Field(description="what a verb answers")
    steps: list[StepView]


class Commands(BaseModel):
    """A page of commands, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"commands": [], "after": ""}]})

    commands: list[CommandView]
    after: str = Field(description="to be asked for the next page; empty: there is none")


class Ask(BaseModel):
    """Which edge nodes a gateway reaches, and how long it waits for a command of one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"nodes": ["demo:shanghai:machining/line1"]}]})

    nodes: list[Annotated[str, Field(max_length=256)]] = Field(
        max_length=1000, examples=[["demo:shanghai:machining/line1"]]
    )
    wait_s: float = Field(20.0, ge=0, le=MAX_WAIT_S)


class Sent(BaseModel):
    """A command that is for an edge node. Nobody is given it again."""

    node: str
    command: Command


def view(row: CommandRow, steps: Sequence[StepRow]) -> CommandView:
    """Return a command as it is shown."""
    return CommandView(
        **{name: getattr(row, name) for name in ("id", "asset", "author", "do", "state", "reason", "value", "result")},
        created=format_time(row.created_ns),
        expires=format_time(row.expires_ns),
        steps=[
            StepView(
                time=format_time(each.time_ns), step=each.step, by=each.by, outcome=each.outcome, reason=each.reason
            )
            for each in steps
        ],
    )


@assets_router.post("/{asset}/commands", status_code=202, responses=responses(401, 403, 404, 503))
def wish(
    parts: GetParts, now: Now, me: Annotated[Principal, need(Action.WRITE)], asset: AssetPath, body: Wish
) -> CommandView:
    """Wish that a machine, or the edge node of a line, does something. Ask for the command to learn what became of it.

    To detect, to browse, to propose and to apply needs the right to configure; to apply, and to detect or browse a free
    address, on the whole line.
    """
    demand(me, ACTIONS[body.verb])
    now_ns = _ns(now)
    with parts.sessions.begin() as db:
        commands.end_overdue(db, now_ns)
        if parts.settings.event_days:
            commands.forget(db, now_ns - parts.settings.event_days * 86_400 * commands.SECOND_NS)
        row = find_asset(db, asset)
        node = row.edge_node
        if _reaches_line(body) and not _has_line(me, row):
            raise scope_needed(me)
        if not commands.has_room(db, node, me.username):
            raise busy("commands for one edge node")
        do = _VERB.validate_python(body.model_dump(exclude={"expires_s"}))
        command = commands.command_of(asset, me.username, now_ns, body.expires_s, do)
        given = commands.give(db, node, command)
        shown = view(given, commands.steps(db, [given.id])[given.id])
    parts.bell.ring()
    return shown


def _reaches_line(body: Wish) -> bool:
    """Whether a wish reaches what stands beside its machine: an entry, as a free address, may name any of these."""
    return body.verb in ("apply", "detect") or (body.verb == "browse" and bool(body.driver or body.address))


def _has_line(me: Principal, row: AssetRow) -> bool:
    """Whether somebody's scope holds all of the line of an asset."""
    line = Place("", row.site, row.area, row.line)
    return all(line.is_in(scopes) for scopes in me.limits)


@router.get("", responses=responses(401, 403, 422))
def list_commands(
    *,
    db: Db,
    now: Now,
    reach: Reach,
    asset: Annotated[list[str], Query(max_length=500, description="assets; none: all", examples=[["cnc-01"]])] = [],  # noqa: B006  (FastAPI copies it)
    state: Annotated[list[State], Query(max_length=7, description="none: any")] = [],  # noqa: B006
    author: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=400, description="what the page before said")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_COMMANDS)] = 50,
) -> Commands:
    """Return commands with all their steps, the newest first, page by page."""
    commands.end_overdue(db, _ns(now))
    wanted = within(reach, asset)
    if wanted == []:
        return Commands(commands=[], after="")
    try:
        found, more = commands.find(db, Asked(wanted or [], state, author), after, limit)
    except CursorError as error:
        raise Problem(422, str(error), "begin without `after`", code=Code.INVALID_REQUEST) from error
    steps = commands.steps(db, [row.id for row in found])
    return Commands(commands=list(_views(found, steps)), after=more)


def _views(rows: Sequence[CommandRow], steps: Mapping[str, Sequence[StepRow]]) -> Iterator[CommandView]:
    """Yield commands as they are shown; the log has those that cannot be, of another version say."""
    for row in rows:
        try:
            yield view(row, steps.get(row.id, ()))
        except ValidationError as error:
            reason = error.errors(include_url=False, include_input=False)[0]["msg"]
            _log.warning("a command cannot be shown", id=row.id, reason=reason)


@router.get("/{command}", responses=responses(401, 403, 404))
async def get_command(request: Request, parts: GetParts, reach: Reach, command: Id, wait_s: WaitS = 0.0) -> CommandView:
    """Return a command; with `wait_s`, once it has ended."""

    async def look() -> CommandView:
        return await run_in_threadpool(_look, parts, reach, command)

    give_place_back(request.scope)
    return await parts.bell.until(
        look, lambda seen: seen.state not in commands.OPEN, wait_s, patience.of(request.scope)
    )


def _look(parts: Parts, reach: frozenset[str] | None, command: str) -> CommandView:
    with parts.sessions.begin() as db:
        commands.end_overdue(db, _ns(datetime.now().astimezone()))
        row = db.get(CommandRow, command)
        if row is None or (reach is not None and row.asset not in reach):
            raise Problem(
                404,
                f"there is no command {command!r}",
                "see GET /api/v1/commands for those there are",
                code=Code.UNKNOWN_COMMAND,
                args={"id": command},
            )
        return view(row, commands.steps(db, [command])[command])


@chain_router.post("/commands", responses=responses(401, 503), openapi_extra={"security": [{"GatewayToken": []}]})
async def fetch(request: Request, parts: GetParts, ask: Ask) -> list[Sent]:
    """Give a gateway the commands for its edge nodes, and mark them as sent before the answer; wait for the first."""
    patient = patience.of(request.scope)

    async def look() -> list[tuple[str, Command]]:
        return [] if patient.ended else await run_in_threadpool(_take, parts, ask.nodes)

    give_place_back(request.scope)
    taken = await parts.bell.until(look, bool, ask.wait_s, patient)
    return [Sent(node=node, command=command) for node, command in taken]


def _take(parts: Parts, nodes: list[str]) -> list[tuple[str, Command]]:
    now_ns = _ns(datetime.now().astimezone())
    with parts.sessions.begin() as db:
        if commands.end_overdue(db, now_ns):
            parts.bell.ring_after(db)
        return commands.take(db, nodes, now_ns)


def _ns(now: datetime) -> int:
    return int(now.timestamp() * 1e6) * 1000
