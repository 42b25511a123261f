"""What stands between a command and a machine: each is carried out once, in time, or not at all, and always answered.

The id of a write (and of a change of the plant file) is a note of the spool before it begins; the note of its reply is
written with the reply. What has the first and not the second when the edge starts was under way when it died: it is
answered `unknown`, and never done again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog
from pydantic import ValidationError

from contract.command import (
    Apply,
    Browse,
    Command,
    CommandError,
    Detect,
    Propose,
    Reply,
    SendBlock,
    Write,
    read_command,
)
from contract.model import MAX_TEXT_BYTES, Asset, Datatype, Signal, Value
from edge.coercion import coerce
from edge.desk import Desk, DeskError
from edge.driver import DriverError, Written
from spool import SpoolError

MOST_AT_ONCE: Final = 32
"""Commands under way; more are refused."""
MOST_NOTED: Final = 1000
"""Commands to one machine whose ids are remembered; of one author half of them."""
MOST_IDS: Final = 20_000
"""Ids that are remembered of all machines of a line."""
MOST_RESULT: Final = 512 * 1024
"""Bytes of JSON that a verb answers: a message must hold them."""
KEEP_NS: Final = 600 * 1_000_000_000
"""So long behind its expiry an id is remembered, in case the clock is set back."""
MOST_WAITING: Final = 1000
_RETRY_S: Final = 1.0
_DIED: Final = "the edge ended while it was under way: it may have been done"
_NOTE: Final = "command:"

_log = structlog.get_logger(__name__)

Answer = Callable[[Reply, Mapping[str, bytes]], "Future[int | None]"]
"""Give a reply to the spool, with notes in the same transaction."""


class RefusedError(ValueError):
    """A command that is not carried out; says why."""


class Notebook(Protocol):
    """Where ids are noted: the notes of a spool."""

    def notes(self, prefix: str) -> dict[str, bytes]:
        """Return the notes whose keys begin so."""

    def set_notes(self, notes: Mapping[str, bytes]) -> None:
        """Keep notes; durable on return. Raises SpoolError."""


class Served(Protocol):
    """What a guard knows of the runner of a machine."""

    def asset(self, id_: str) -> Asset | None:
        """Return an asset of the machine as it is known now."""

    async def write(self, asset: str, signal: str, value: Value, limit_s: float) -> Written:
        """Set one signal within `limit_s`, or sooner. Never raises; ends in time."""

    async def browse(self, path: str) -> Any:
        """Return what the machine offers, as JSON; raise DriverError."""

    async def send_blocks(self, asset: str, sensor: str, start_ns: int | None = None, end_ns: int | None = None) -> int:
        """Send blocks that are held; return how many."""


class _Noted(NamedTuple):
    """What is remembered of a command that has begun."""

    expires_ns: int
    is_answered: bool = False
    asset: str = ""
    author: str = ""

    def note(self) -> bytes:
        return orjson.dumps(tuple(self))


class Journal:
    """Which commands were begun and which are answered, also by an earlier run."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._known: dict[str, _Noted] = {}
        for key, note in notebook.notes(_NOTE).items():
            self._known[key.removeprefix(_NOTE)] = _Noted(*orjson.loads(note))

    def __contains__(self, id_: str) -> bool:
        return id_ in self._known

    @property
    def unanswered(self) -> dict[str, int]:
        """Return the ids of those that were begun and have no reply, and when they expire."""
        return {id_: noted.expires_ns for id_, noted in self._known.items() if not noted.is_answered}

    async def begin(self, command: Command, now_ns: int) -> None:
        """Note that a command begins; durable on return. Raises RefusedError, SpoolError."""
        old = [id_ for id_, noted in self._known.items() if noted.is_answered and noted.expires_ns + KEEP_NS < now_ns]
        for id_ in old:
            del self._known[id_]
        self._check_room(command)
        noted = _Noted(command.expires_ns, asset=command.asset, author=command.author)
        self._known[command.id] = noted
        note = {_NOTE + command.id: noted.note()}
        await asyncio.to_thread(self._notebook.set_notes, {_NOTE + id_: b"" for id_ in old} | note)

    def _check_room(self, command: Command) -> None:
        """Raise RefusedError when a machine, or one author at it, has had as many commands as are remembered."""
        authors = [noted.author for noted in self._known.values() if noted.asset == command.asset]
        seconds = KEEP_NS // 10**9
        if authors.count(command.author) >= MOST_NOTED // 2:
            raise RefusedError(f"{command.author} gave {MOST_NOTED // 2} commands to it in {seconds} s: wait")
        if len(authors) >= MOST_NOTED or len(self._known) >= MOST_IDS:
            raise RefusedError(f"there were {len(authors)} commands to it in {seconds} s: wait")

    def answered(self, id_: str, expires_ns: int) -> dict[str, bytes]:
        """Note that a command is answered, in memory; return the notes that go with the reply."""
        if id_ not in self._known and len(self._known) >= MOST_IDS:
            return {}
        noted = self._known.get(id_, _Noted(expires_ns))._replace(is_answered=True)
        self._known[id_] = noted
        return {_NOTE + id_: noted.note()}


class Guard:
    """Carries out the commands for one edge node: `take` gets them from any thread, `run` does them until cancelled."""

    def __init__(
        self,
        notebook: Notebook,
        answer: Answer,
        machines: Mapping[str, Served],
        desk: Desk,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`machines` are the runners by machine entry, those of now."""
        self.lost = 0
        """Messages that nobody could be answered: they are no command, or too many came at once."""
        self._journal = Journal(notebook)
        self._give = answer
        self._machines = machines
        self._desk = desk
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._under_way: set[str] = set()
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by machine entry

    async def run(self) -> None:
        """Answer what an earlier run left in doubt, then serve."""
        async with asyncio.TaskGroup() as tasks:
            for id_, expires_ns in self._journal.unanswered.items():
                _log.warning("a command was under way when the edge died", id=id_)
                reply = Reply(command_id=id_, outcome="unknown", reason=_DIED)
                tasks.create_task(self._answer(id_, expires_ns, reply))
            while True:
                command = self._read(await self._arrived.get())
                if command is not None:
                    self._under_way.add(command.id)
                    tasks.create_task(self._serve(command, is_too_much=len(self._under_way) > MOST_AT_ONCE))

    def take(self, text: str) -> None:
        """Take the value of a metric `Spool/Command`; while MOST_WAITING wait, it is lost and counted."""
        self._loop.call_soon_threadsafe(self._put, text)

    def _put(self, text: str) -> None:
        try:
            self._arrived.put_nowait(text)
        except asyncio.QueueFull:
            self.lost += 1
            _log.warning("a command is lost", reason=f"{MOST_WAITING} wait")

    def _read(self, text: str) -> Command | None:
        """Return a command that is new."""
        try:
            command = read_command(text)
        except CommandError as error:
            self.lost += 1
            _log.warning("a command was not understood", reason=str(error))
            return None
        if command.id in self._journal or command.id in self._under_way:
            _log.info("a command came again", id=command.id)
            return None
        return command

    async def _serve(self, command: Command, *, is_too_much: bool) -> None:
        try:
            if is_too_much:
                reply = self._reply(command, "refused", f"{MOST_AT_ONCE} commands are under way")
            else:
                reply = await self._carry_out(command)
            _log.info(
                "command", id=command.id, verb=command.do.verb, author=command.author, outcome=reply.outcome,
                reason=reply.reason,
            )  # fmt: skip
            await self._answer(command.id, command.expires_ns, reply)
        finally:
            self._under_way.discard(command.id)

    async def _answer(self, id_: str, expires_ns: int, reply: Reply) -> None:
        """Give a reply to the spool, for as long as it takes."""
        reply = reply.model_copy(update={"time_ns": self._clock_ns()})
        while True:
            try:
                future = self._give(reply, self._journal.answered(id_, expires_ns))
                await asyncio.wrap_future(future)
            except SpoolError as error:
                _log.warning("a reply waits for room in the spool", id=id_, reason=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _carry_out(self, command: Command) -> Reply:
        if self._is_over(command):
            return self._reply(command, "expired", "it came behind its expiry, by the clock of the edge")
        try:
            return await self._do(command)
        except (RefusedError, DeskError) as error:
            return self._reply(command, "refused", str(error))
        except DriverError as error:
            return self._reply(command, "failed", str(error))
        except SpoolError as error:
            return self._reply(command, "failed", f"nothing was done: {error}")

    async def _do(self, command: Command) -> Reply:
        match command.do:
            case Write() as do:
                return await self._write(command, do)
            case Apply() as do:
                return await self._once(command, "", partial(self._apply, command, do))
            case Detect() as do:
                return self._done(command, await self._desk.detect(do))
            case Propose() as do:
                return self._done(command, await self._desk.propose(do))
            case Browse() as do:
                return self._done(command, await self._browse(command, do))
            case SendBlock() as do:
                return await self._send(command, do)

    async def _once(self, command: Command, machine: str, act: Callable[[], Awaitable[Reply]]) -> Reply:
        """Do it when it is its turn, if it is still time, with its id noted before."""
        async with self._turn[machine]:
            if self._is_over(command):
                return self._reply(command, "expired", "it waited behind another one until its expiry")
            await self._journal.begin(command, self._clock_ns())
            return await act()

    async def _write(self, command: Command, do: Write) -> Reply:
        name, machine, asset = self._asset(command.asset)
        signal = next((each for each in asset.signals if each.name == do.signal), None)
        if signal is None:
            raise RefusedError(f"{asset.id} has no signal {do.signal!r}")
        value = fitted(signal, do.value)

        async def write() -> Reply:
            # to note it has taken its time, and so may the machine: behind the expiry nothing more is sent to it
            left_s = (command.expires_ns - self._clock_ns()) / 1e9
            if left_s <= 0:
                return self._reply(command, "expired", "its expiry came before it could be begun")
            written = await machine.write(asset.id, signal.name, value, left_s)
            return self._reply(command, written.outcome, written.reason, value=written.value)

        return await self._once(command, name, write)

    async def _apply(self, command: Command, do: Apply) -> Reply:
        return self._done(command, await self._desk.apply(do))

    async def _browse(self, command: Command, do: Browse) -> Any:
        if do.driver or do.address:
            return await self._desk.probe(do)
        if not command.asset:
            return await self._desk.plant()
        _, machine, _ = self._asset(command.asset)
        return await machine.browse(do.path)

    async def _send(self, command: Command, do: SendBlock) -> Reply:
        _, machine, asset = self._asset(command.asset)
        count = await machine.send_blocks(asset.id, do.sensor, do.start_ns, do.end_ns)
        if not count:
            reason = f"no block of {do.sensor!r} is held of this time, or there is no room for it"
            return self._reply(command, "failed", reason)
        return self._done(command, {"blocks": count})

    def _asset(self, id_: str) -> tuple[str, Served, Asset]:
        for name, machine in self._machines.items():
            asset = machine.asset(id_)
            if asset is not None:
                return name, machine, asset
        raise RefusedError(f"there is no machine {id_!r} on this line")

    def _is_over(self, command: Command) -> bool:
        return self._clock_ns() >= command.expires_ns

    def _done(self, command: Command, result: Any) -> Reply:
        try:
            size = len(orjson.dumps(result))
        except TypeError as error:
            return self._reply(command, "failed", f"what the machine says cannot be told: {error}")
        if size > MOST_RESULT:
            return self._reply(command, "failed", f"the answer has {size} bytes, and may have {MOST_RESULT}")
        return self._reply(command, "done", result=result)

    @staticmethod
    def _reply(command: Command, outcome: str, reason: str = "", **fields: Any) -> Reply:
        try:
            return Reply.model_validate(
                {"command_id": command.id, "outcome": outcome, "reason": _told(reason), **fields}
            )
        except ValidationError:  # a driver said what is no verdict
            reason = "the driver answered what is no verdict: it may have been done"
            return Reply(command_id=command.id, outcome="unknown", reason=reason)


def fitted(signal: Signal, value: Value) -> Value:
    """Return a value in the datatype of a signal; raise RefusedError when it must not be written."""
    if not signal.writable:
        raise RefusedError(f"{signal.name} is not writable: its entry in the plant file does not say `writable: true`")
    is_text, is_flag = isinstance(value, str), isinstance(value, bool)
    fits = is_text == (signal.datatype is Datatype.STRING) and is_flag == (signal.datatype is Datatype.BOOLEAN)
    found = coerce(value, signal.datatype) if fits else None
    if found is None or (isinstance(found, str) and len(found.encode()) > MAX_TEXT_BYTES):
        raise RefusedError(f"{signal.name}: {value!r:.80} is no {signal.datatype.value}")
    if isinstance(found, str | bool):
        return found
    if (signal.low is not None and found < signal.low) or (signal.high is not None and found > signal.high):
        low = "" if signal.low is None else f" from {signal.low:g}"
        high = "" if signal.high is None else f" to {signal.high:g}"
        raise RefusedError(f"{signal.name}: {value!r} is out of its range,{low}{high} {signal.unit}".strip())
    return found


def _told(reason: str) -> str:
    """Return a reason as long as a reply takes; half of a pair of UTF-16, which a machine may say, cannot be sent."""
    return str(reason).encode(errors="replace").decode()[:1000]
