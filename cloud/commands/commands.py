"""What becomes of commands: each is given to a gateway once, and ends, by a reply or without one."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import orjson
from sqlalchemy import and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from cloud.commands.tables import CommandRow, StepRow
from contract.command import Command, Reply, Verb

SECOND_NS: Final = 1_000_000_000
GRACE_NS: Final = 15 * SECOND_NS
"""So long behind the expiry a reply may still be on its way; then the command counts as unknown."""
MOST_OPEN: Final = 100
"""Commands that wait for one edge node; of one author half of them."""
MOST_TAKEN: Final = 100
"""Commands that a gateway is given at once."""
MOST_FORGOTTEN: Final = 1000

State = Literal["queued", "sent", "done", "refused", "expired", "failed", "unknown"]
STATES: Final[tuple[State, ...]] = get_args(State)
OPEN: Final = ("queued", "sent")

_NEVER_FETCHED: Final = "no gateway has asked for it in time"
_NO_REPLY: Final = "it was sent, and nothing came back: it may have been done"


class CursorError(ValueError):
    """What was given as the place to go on is none of ours."""


class UnknownCommandError(ValueError):
    """A reply to what was never asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which commands somebody wants; empty: all."""

    assets: Sequence[str] = ()
    states: Sequence[State] = ()
    author: str = ""


def give(db: Session, node: str, command: Command) -> CommandRow:
    """Queue a command for an edge node."""
    row = CommandRow(**command.model_dump(mode="json"), node=node, state="queued", reason="", value=None, result=None)
    db.add(row)
    db.flush()
    _note(db, row.id, "queued", command.author, command.created_ns)
    return row


def command_of(asset: str, author: str, now_ns: int, expires_s: float, do: Verb) -> Command:
    """Return a new command that expires so many seconds from now."""
    expires_ns = now_ns + round(expires_s * SECOND_NS)
    return Command(id=secrets.token_hex(8), asset=asset, author=author, created_ns=now_ns, expires_ns=expires_ns, do=do)


def has_room(db: Session, node: str, author: str) -> bool:
    """Return whether an edge node may be given one more command, and by this author."""
    here = select(CommandRow.author).where(CommandRow.state.in_(OPEN), CommandRow.node == node)
    authors = db.scalars(here).all()
    return len(authors) < MOST_OPEN and authors.count(author) < MOST_OPEN // 2


def take(db: Session, nodes: Iterable[str], now_ns: int) -> list[tuple[str, Command]]:
    """Return the commands of edge nodes that wait, the oldest first, and mark them as sent: nobody else gets them."""
    waiting = db.scalars(
        select(CommandRow.id)
        .where(CommandRow.state == "queued", CommandRow.node.in_(list(nodes)), CommandRow.expires_ns > now_ns)
        .order_by(CommandRow.created_ns, CommandRow.id)
        .limit(MOST_TAKEN)
    ).all()
    if not waiting:
        return []
    taken = db.scalars(
        update(CommandRow)
        .where(CommandRow.id.in_(waiting), CommandRow.state == "queued")
        .values(state="sent")
        .returning(CommandRow)
    ).all()
    for row in taken:
        _note(db, row.id, "sent", "gateway", now_ns)
    return [(row.node, read(row)) for row in sorted(taken, key=lambda row: (row.created_ns, row.id))]


def answer(db: Session, node: str, reply: Reply, now_ns: int) -> bool:
    """Keep a reply; False when it was kept before. Raises UnknownCommandError.

    It corrects an end without one. That the edge does not know changes no verdict.
    """
    row = db.get(CommandRow, reply.command_id, with_for_update=True)
    if row is None or row.node != node:
        raise UnknownCommandError(f"there is no command {reply.command_id!r} for {node!r}")
    told = select(StepRow.outcome, StepRow.reason).where(StepRow.command == row.id, StepRow.step == "replied")
    if (reply.outcome, reply.reason) in {(outcome, reason) for outcome, reason in db.execute(told)}:
        return False
    has_verdict = any(outcome != "unknown" for outcome, _ in db.execute(told))
    _note(db, row.id, "replied", node, reply.time_ns or now_ns, outcome=reply.outcome, reason=reply.reason)
    if not (has_verdict and reply.outcome == "unknown"):
        row.state, row.reason = reply.outcome, reply.reason
        row.value, row.result = reply.value, reply.result
    return True


def end_overdue(db: Session, now_ns: int) -> int:
    """End what nobody has fetched before its expiry, and what was sent and has no reply; return how many."""
    overdue = or_(
        and_(CommandRow.state == "queued", CommandRow.expires_ns <= now_ns),
        and_(CommandRow.state == "sent", CommandRow.expires_ns <= now_ns - GRACE_NS),
    )
    ended = 0
    for id_, state in db.execute(select(CommandRow.id, CommandRow.state).where(overdue).limit(MOST_TAKEN)).all():
        outcome, reason = ("expired", _NEVER_FETCHED) if state == "queued" else ("unknown", _NO_REPLY)
        changed = db.execute(
            update(CommandRow)
            .where(CommandRow.id == id_, CommandRow.state == state)
            .values(state=outcome, reason=reason)
            .returning(CommandRow.id)
        ).all()
        if changed:
            _note(db, id_, "ended", "cloud", now_ns, outcome=outcome, reason=reason)
            ended += 1
    return ended


def forget(db: Session, before_ns: int) -> int:
    """Forget commands of before a time, at most MOST_FORGOTTEN; return how many."""
    old = db.scalars(
        select(CommandRow.id)
        .where(CommandRow.created_ns < before_ns)
        .order_by(CommandRow.created_ns)
        .limit(MOST_FORGOTTEN)
    ).all()
    if old:
        db.execute(delete(StepRow).where(StepRow.command.in_(old)))
        db.execute(delete(CommandRow).where(CommandRow.id.in_(old)))
    return len(old)


def find(db: Session, asked: Asked, after: str, limit: int) -> tuple[list[CommandRow], str]:
    """Return commands, the newest first, and where to go on ("": that was all); raise CursorError.

    `after` is what the last call returned, "" at first.
    """
    rows = select(CommandRow).order_by(CommandRow.created_ns.desc(), CommandRow.id.desc())
    if asked.assets:
        rows = rows.where(CommandRow.asset.in_(asked.assets))
    if asked.states:
        rows = rows.where(CommandRow.state.in_(asked.states))
    if asked.author:
        rows = rows.where(CommandRow.author == asked.author)
    if after:
        rows = rows.where(tuple_(CommandRow.created_ns, CommandRow.id) < tuple_(*_read_cursor(after)))
    found = list(db.scalars(rows.limit(limit + 1)))
    return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else ""


def steps(db: Session, commands: Iterable[str]) -> dict[str, list[StepRow]]:
    """Return what happened to commands, step by step."""
    found: dict[str, list[StepRow]] = {}
    for row in db.scalars(select(StepRow).where(StepRow.command.in_(list(commands))).order_by(StepRow.n)):
        found.setdefault(row.command, []).append(row)
    return found


def read(row: CommandRow) -> Command:
    """Return the command of a row."""
    return Command.model_validate({name: getattr(row, name) for name in Command.model_fields})


def _note(db: Session, command: str, step: str, by: str, time_ns: int, *, outcome: str = "", reason: str = "") -> None:
    following = select(func.coalesce(func.max(StepRow.n) + 1, 0)).where(StepRow.command == command).scalar_subquery()
    db.execute(
        insert(StepRow).values(
            command=command, n=following, step=step, by=by, time_ns=time_ns, outcome=outcome, reason=reason
        )
    )


def _cursor(row: CommandRow) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([row.created_ns, row.id])).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, str]:
    try:
        time_ns, id_ = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise CursorError(f"{text[:80]!r} is no place that was given to go on") from error
    if not (isinstance(time_ns, int) and 0 <= time_ns < 2**63 and isinstance(id_, str)):
        raise CursorError(f"{text[:80]!r} is no place that was given to go on")
    return time_ns, id_
