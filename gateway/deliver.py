"""From the spool to the cloud: events, blocks and replies, each once, in order, and the ledger's announcements.

The cursor moves when the cloud has said that all lines are durable. What it refuses is set aside; everything else
waits, with a jittered back-off, for ever, in `most_bytes` of the spool: beyond them the oldest is given up, and stands
in the ledger.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import structlog

from contract.backoff import Backoff
from contract.identity import Ids
from contract.loss import SourceLedger
from contract.topics import Node, parse_sparkplug
from gateway.cloud import Cloud, Receipt
from gateway.ledger import CLOUD, Aside, Ledger, LedgerError
from gateway.ledger.tally import Delivered
from gateway.letters import MOST_BYTES, Letter, LetterError, ledger_letter, letters_of
from gateway.progress import Progress
from gateway.sinks import Cursors
from spool import Record, Spool, SpoolError

LINES: Final = 1000
IDLE_S: Final = 0.5
GATHER_S: Final = 0.1
"""After a post, so that what comes together goes together; a backlog is read without a pause."""
FAILURES: Final = 3
HELD_BYTES: Final = 64 << 20

log = structlog.get_logger()


@dataclass(slots=True)
class Post:
    """Lines on their way to the cloud, of records that are passed when it has them."""

    letters: list[Letter] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    told: dict[Node, SourceLedger] = field(default_factory=dict)
    size: int = 0

    def fits(self, letters: Sequence[Letter], most_lines: int) -> bool:
        """Whether there is room for more lines; for the first ones there always is."""
        size = sum(len(letter.line) + 1 for letter in letters)
        return not self.letters or (self.size + size <= MOST_BYTES and len(self.letters) + len(letters) <= most_lines)

    def add(self, letters: Sequence[Letter]) -> None:
        """Take lines."""
        self.letters += letters
        self.size += sum(len(letter.line) + 1 for letter in letters)


class Deliverer:
    """Moves what is for the cloud to it, in a thread of its own (`start`, `stop`) or step by step (`step`)."""

    def __init__(
        self,
        spool: Spool,
        cloud: Cloud,
        cursors: Cursors,
        ledger: Ledger,
        tally: Delivered,
        *,
        ids: Ids,
        held: Iterable[tuple[int, int]] = (),
        most_bytes: int = HELD_BYTES,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`held` is what `cursors` found in the spool: number and size of each record."""
        self.progress = Progress(moved=clock())
        self._spool = spool
        self._cloud = cloud
        self._cursors = cursors
        self._ledger = ledger
        self._tally = tally
        self._ids = ids
        self._held = deque(held)
        self._held_bytes = sum(size for _, size in self._held)
        self._most_bytes = most_bytes
        self._told: dict[Node, SourceLedger] = {}
        self._news = threading.Condition()  # guards the three above
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._now_ns = now_ns
        self._most_lines = LINES
        self._too_many = LINES + 1  # so many were not taken in time, since all was delivered
        self._failures = 0  # in a row, of posts by which the cloud fell over
        self._stopping = threading.Event()
        # a daemon: a cloud that hangs must not keep the process; what it was told twice is harmless
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def held(self) -> tuple[int, int]:
        """How many records wait for the cloud, and their bytes."""
        return len(self._held), self._held_bytes

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.5) -> None:
        """End the thread; a post under way is abandoned after `timeout_s` and will be repeated at the next start."""
        self._stopping.set()
        with self._news:
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def hold(self, n: int, size: int) -> None:
        """Take note of a durable record for the cloud; numbers rise. In any thread."""
        with self._news:
            self._held.append((n, size))
            self._held_bytes += size
            self._news.notify()

    def tell(self, node: Node, told: SourceLedger) -> None:
        """Tell the ledger of a source; the newest word of each counts, and is not spooled. In any thread."""
        with self._news:
            self._told[node] = told
            self._news.notify()

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause_s = self.step()
            if pause_s > 0:
                self._stopping.wait(pause_s)
                continue
            with self._news:
                self._news.wait_for(lambda: self._held or self._told or self._stopping.is_set(), IDLE_S)

    def step(self) -> float:
        """Post what is there, or give up what is too much; return the seconds to wait before the next step."""
        try:
            self._give_up()
            post = self._gather()
            if not post.letters and not post.numbers:
                self.progress.moved = self._clock()
                self._too_many = LINES + 1
                return 0.0
            if not post.letters:
                self._forget(post, [])
                return 0.0
            receipt = self._cloud.post([letter.line for letter in post.letters])
            return self._settle(post, receipt)
        except (SpoolError, LedgerError) as error:
            return self._wait(str(error))

    def _gather(self) -> Post:
        """Read what goes into one request; what cannot be read is set aside."""
        post = Post()
        with self._news:
            told = list(self._told.items())
            held = list(islice(self._held, self._most_lines))
        for node, said in told:
            letter = ledger_letter(node, self._ids.asset(node, None), said)
            if not post.fits([letter], self._most_lines):
                return post
            post.add([letter])
            post.told[node] = said
        for n, _ in held:
            letters = [each for record in self._spool.read(n - 1, 1) if record.n == n for each in self._letters(record)]
            if not post.fits(letters, self._most_lines):
                break
            post.add(letters)
            post.numbers.append(n)
        return post

    def _letters(self, record: Record) -> list[Letter]:
        letters = []
        for letter in letters_of(record, self._ids):
            if isinstance(letter, LetterError):
                node = parse_sparkplug(record.topic).node
                self._ledger.set_aside(Aside(record.time_ns, node, record.topic, str(letter), record.body))
            else:
                letters.append(letter)
        return letters

    def _settle(self, post: Post, receipt: Receipt) -> float:
        outcome = receipt.outcome
        self.progress.answered(outcome)
        self._failures = self._failures + 1 if outcome == "failed" else 0
        if self._failures >= FAILURES:
            outcome = "rejected"  # one line of it must not keep all others waiting
        if outcome == "rejected" and len(post.letters) > 1:
            self._most_lines = max(1, len(post.letters) // 2)  # down to the line that it does not take
            return 0.0
        if outcome == "rejected":
            self._forget(post, [], refused={0: receipt.detail})
            return 0.0
        if outcome != "taken":
            if receipt.is_late:
                self._too_many = len(post.letters)  # the same again would be as late, for ever
                self._most_lines = max(1, self._too_many // 2)
            return self._wait(receipt.detail, receipt.retry_after_s)
        taken = [letter for index, letter in enumerate(post.letters) if index not in receipt.refused]
        self._forget(post, taken, refused=receipt.refused)
        self._most_lines = max(1, min(2 * self._most_lines, self._too_many - 1))
        return GATHER_S if len(post.numbers) < LINES // 2 and post.size < MOST_BYTES // 2 else 0.0

    def _forget(self, post: Post, taken: list[Letter], refused: dict[int, str] | None = None) -> None:
        """Pass what was posted; what was refused is durable in the ledger before."""
        for index, reason in (refused or {}).items():
            if 0 <= index < len(post.letters):
                letter = post.letters[index]
                log.warning("the cloud refused a line; it is set aside", node="/".join(letter.node), reason=reason)
                if letter.n is not None:  # the ledger tells its sources again
                    self._ledger.set_aside(Aside(self._now_ns(), letter.node, CLOUD, reason, letter.line))
        self._flush()
        if post.numbers:
            counts: dict[Node, Counter[str]] = {}
            for letter in taken:
                if letter.n is not None:
                    counts.setdefault(letter.node, Counter())[letter.kind] += 1
            self._pass(post.numbers, counts)
        with self._news:
            for node, told in post.told.items():
                if self._told.get(node) is told:
                    del self._told[node]
        self.progress.records += len(post.numbers)
        self._working()

    def _pass(self, numbers: list[int], counts: dict[Node, Counter[str]]) -> None:
        self._cursors.pass_cloud(numbers, self._tally.notes(counts))
        self._tally.add(counts)
        last_n = numbers[-1]
        with self._news:
            while self._held and self._held[0][0] <= last_n:
                self._held_bytes -= self._held.popleft()[1]

    def _give_up(self) -> None:
        """Pass the oldest records while too many bytes are held; the ledger says which and why."""
        with self._news:
            numbers, excess = [], self._held_bytes - self._most_bytes
            for n, size in self._held:
                if excess <= 0:
                    break
                numbers.append(n)
                excess -= size
        if not numbers:
            return
        for n in numbers:
            for record in self._spool.read(n - 1, 1):
                node = parse_sparkplug(record.topic).node
                detail = "more was held for the cloud than SHOPFLOOR_GATEWAY_CLOUD_BYTES; the oldest was given up"
                self._ledger.account.lose(node, "cloud_full", 1, self._now_ns(), detail)
        self._flush()
        self._pass(numbers, {})
        log.warning("the cloud is away too long: the oldest is given up", records=len(numbers), reason="cloud_full")

    def _flush(self) -> None:
        """Make durable what was set aside or told before its record goes."""
        try:
            self._ledger.flush()
        except LedgerError:
            self._spool.give_reserve()
            self._ledger.flush()

    def _wait(self, trouble: str, at_least_s: float = 0.0) -> float:
        if self.progress.fails(trouble, self._clock()):
            log.warning("the cloud is waited for", reason=trouble)
        return max(at_least_s, self._backoff.next_s())

    def _working(self) -> None:
        self._backoff.reset()
        if (failing_s := self.progress.moves(self._clock())) is not None:
            log.info("the cloud takes again", after_s=round(failing_s, 1))
