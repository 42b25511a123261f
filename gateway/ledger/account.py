"""What the ledger knows of each source beyond counters: entries of losses and gaps, balances of spools, who lives.

Kept in memory and written by the ledger, in its transaction. An entry that comes again is the same entry; the details
of the oldest are forgotten when there are too many, what they counted is not.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from pydantic import ValidationError

from contract.loss import Balance, Entry, Reason
from contract.topics import Node

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY ("group", edge_node, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, outcome TEXT NOT NULL,
    entries INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY ("group", edge_node, source, reason, outcome)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epoch (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, epoch TEXT NOT NULL, begun INTEGER NOT NULL,
    before INTEGER NOT NULL, received INTEGER NOT NULL, balance TEXT, PRIMARY KEY ("group", edge_node, epoch)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, epoch TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY ("group", edge_node, epoch)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, time_ns INTEGER NOT NULL, PRIMARY KEY ("group", edge_node)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, time_ns INTEGER NOT NULL, PRIMARY KEY ("group", edge_node)
) WITHOUT ROWID;
"""
SEEN_NS: Final = 5_000_000_000  # how exactly it is kept when a node was seen last
MOST_ENTRIES: Final = 1000  # of one node
MERGE_NS: Final = 60_000_000_000

Sort: TypeAlias = tuple[str, str, str]  # source, reason, outcome


@dataclass(slots=True)
class Epoch:
    """One epoch of an edge node's spool, as the gateway knows it; all in messages.

    `before` were received before the ledger knew of the epoch, `balance` is the newest that the edge told. Of those up
    to number `given` another gateway may have taken some, in whose place this one is now: `elsewhere` are those that
    it has, as far as they did not come here.
    """

    begun_ns: int
    before: int = 0
    received: int = 0
    balance: Balance | None = None
    given: int = 0
    elsewhere: int = 0


class Account:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Node, dict[int, Entry]] = {}
        self._forgotten: dict[Node, Counter[tuple[Sort, str]]] = {}
        self._epochs: dict[Node, dict[str, Epoch]] = {}
        self._heard: dict[Node, int] = {}
        self._seen: dict[Node, int] = {}
        self._written_seen: dict[Node, int] = {}
        self._growing: dict[tuple[Node, Reason], Entry] = {}
        self._unwritten: set[tuple[Node, int]] = set()
        self._dropped: list[tuple[Node, Entry]] = []
        self._changed_epochs: set[tuple[Node, str]] = set()
        self._written_heard: dict[Node, int] = {}
        self._born: dict[Node, tuple[str, int]] = {}  # epoch and highest number of the last birth
        self._taken_over: set[Node] = set()  # nodes that were not born since another gateway was here
        self._pending: tuple[set[tuple[Node, int]], list[tuple[Node, Entry]], set[tuple[Node, str]], dict[Node, int]]
        self._pending = set(), [], set(), {}
        self._last_id = 0

    # what happens

    def enter(self, node: Node, entry: Entry) -> None:
        """Take an entry, or a newer or older version of one."""
        with self._lock:
            self._take(node, entry)

    def tell(
        self,
        node: Node,
        reason: Reason,
        start_ns: int,
        end_ns: int,
        *,
        source: str = "",
        outcome: Literal["lost", "noted"] = "lost",
        count: int = 0,
        first: int | None = None,
        last: int | None = None,
        detail: str = "",
    ) -> None:
        """Make an entry of the gateway's own."""
        with self._lock:
            self._last_id = max(self._last_id + 1, end_ns)
            entry = Entry(
                id=self._last_id, source=source, reason=reason, outcome=outcome, count=count, first=first, last=last,
                start_ns=min(start_ns, end_ns), end_ns=end_ns, detail=detail[:1000],
            )  # fmt: skip
            self._take(node, entry)

    def lose(
        self,
        node: Node,
        reason: Reason,
        count: int,
        now_ns: int,
        detail: str = "",
        *,
        outcome: Literal["lost", "noted"] = "lost",
    ) -> None:
        """Count messages that are lost or noted, of one sort; those that come within a minute are one entry."""
        with self._lock:
            old = self._growing.get((node, reason))
            if old is not None and 0 <= now_ns - old.end_ns < MERGE_NS:
                entry = old.model_copy(update={"count": old.count + count, "end_ns": now_ns})
            else:
                self._last_id = max(self._last_id + 1, now_ns)
                entry = Entry(
                    id=self._last_id, reason=reason, outcome=outcome, count=count, start_ns=now_ns, end_ns=now_ns,
                    detail=detail[:1000],
                )  # fmt: skip
            self._growing[node, reason] = entry
            self._take(node, entry)

    def knows(self, node: Node, epoch: str) -> bool:
        """Whether `begin` was called for an epoch."""
        return epoch in self._epochs.get(node, ())

    def begin(self, node: Node, epoch: str, received: int, now_ns: int) -> None:
        """Note an epoch at its first message here; `received` were kept of it before, by a gateway without a ledger."""
        with self._lock:
            born, given = self._born.get(node, ("", 0))
            new = Epoch(now_ns, before=received, received=received, given=given if born == epoch else 0)
            self._epochs.setdefault(node, {})[epoch] = new
            self._changed_epochs.add((node, epoch))

    def born(self, node: Node, epoch: str, given: int) -> None:
        """Note what a birth says was the highest number of an epoch: of an unknown one, and after `take_over`."""
        with self._lock:
            self._born[node] = epoch, given
            known = self._epochs.get(node, {}).get(epoch)
            if known is not None and node in self._taken_over:
                known.given = given
                self._changed_epochs.add((node, epoch))
            self._taken_over.discard(node)

    def take_over(self) -> None:
        """Note that another gateway was in the place of this one until now."""
        with self._lock:
            self._taken_over = set(self._epochs)

    def rebase(self) -> bool:
        """Count all that was received as stored, as far as anyone knows; return whether there was any."""
        with self._lock:
            for node, epochs in self._epochs.items():
                for name, epoch in epochs.items():
                    epoch.before = epoch.received
                    self._changed_epochs.add((node, name))
            return any(epoch.received for epochs in self._epochs.values() for epoch in epochs.values())

    def balanced(self, node: Node, balance: Balance) -> None:
        """Take what an edge node says of its spool; an older word than the last one is ignored."""
        with self._lock:
            epochs = self._epochs.setdefault(node, {})
            epoch = epochs.setdefault(balance.epoch, Epoch(0))
            old = epoch.balance
            if old is None or (balance.produced, balance.acknowledged) >= (old.produced, old.acknowledged):
                epoch.balance = balance
                self._changed_epochs.add((node, balance.epoch))

    def received(self, node: Node, epoch: str, count: int) -> None:
        """Note how many messages of an epoch were received; never less than before."""
        with self._lock:
            known = self._epochs.get(node, {}).get(epoch)
            if known is not None and count > known.received:
                known.received = count
                self._changed_epochs.add((node, epoch))

    def elsewhere(self, node: Node, epoch: str, here: Iterable[tuple[int, int]]) -> int:
        """Return how many messages of an epoch another gateway may have taken; `here` are the numbers that came here.

        What nobody has taken of them comes here yet.
        """
        given = self._epochs[node][epoch].given
        return given - sum(min(last, given) - first + 1 for first, last in here if first <= given)

    def heard(self, node: Node, now_ns: int) -> None:
        """Note that a node lives which does not wait for the gateway."""
        self._heard[node] = now_ns

    def last_seen(self, node: Node, now_ns: int) -> None:
        """Note that something came from a node."""
        self._seen[node] = now_ns

    def seen_ns(self, node: Node) -> int | None:
        """Return when something came last from a node, also in an earlier run; None when nobody knows."""
        return self._seen.get(node)

    def died(self, node: Node) -> None:
        """Note that a node has said goodbye: it sends nothing that could be missed."""
        self._heard.pop(node, None)

    def away(self, now_ns: int, waiting: Container[Node] = ()) -> None:
        """Tell of every living node that nobody listened until `now_ns`, but of those that are `waiting` for us."""
        for node, heard_ns in list(self._heard.items()):
            if node in waiting:
                continue
            self.tell(node, "gateway_away", heard_ns, now_ns, detail="the gateway was not connected to the broker")
            self._heard[node] = now_ns

    # what is known

    def nodes(self) -> set[Node]:
        """Return all nodes of which there is an entry or an epoch."""
        with self._lock:
            return {*self._entries, *self._epochs, *self._forgotten}

    def epochs(self, node: Node) -> dict[str, Epoch]:
        """Return the epochs of a node, the oldest first."""
        with self._lock:
            known = self._epochs.get(node, {})
            return {name: replace(epoch) for name, epoch in sorted(known.items(), key=lambda item: item[1].begun_ns)}

    def entries(self, node: Node, most: int) -> list[Entry]:
        """Return the newest entries of a node, the oldest of them first."""
        with self._lock:
            known = self._entries.get(node, {})
            return sorted(known.values(), key=lambda entry: (entry.end_ns, entry.id))[-most:]

    def losses(self, node: Node) -> dict[Sort, tuple[int, int]]:
        """Return number and count of all entries of a node, also of those whose details are forgotten."""
        with self._lock:
            sums = Counter(self._forgotten.get(node, {}))
            for entry in self._entries.get(node, {}).values():
                sums[_sort(entry), "entries"] += 1
                sums[_sort(entry), "count"] += entry.count
            sorts = sorted({sort for sort, _ in sums})
            return {sort: (sums[sort, "entries"], sums[sort, "count"]) for sort in sorts}

    # the file

    def load(self, database: sqlite3.Connection) -> None:
        """Read what earlier runs wrote, making the tables first."""
        database.executescript(SCHEMA)
        for group, edge_node, id_, body in database.execute("SELECT * FROM entry"):
            entry = read_entry(body)
            if entry is not None:
                self._entries.setdefault(Node(group, edge_node), {})[id_] = entry
        for group, edge_node, source, reason, outcome, entries, count in database.execute("SELECT * FROM forgotten"):
            sums = self._forgotten.setdefault(Node(group, edge_node), Counter())
            sums[(source, reason, outcome), "entries"] = entries
            sums[(source, reason, outcome), "count"] = count
        for group, edge_node, name, begun, before, received, text in database.execute("SELECT * FROM epoch"):
            balance = None if text is None else read_balance(text)
            self._epochs.setdefault(Node(group, edge_node), {})[name] = Epoch(begun, before, received, balance)
        for group, edge_node, name, n in database.execute("SELECT * FROM given"):
            self._epochs[Node(group, edge_node)][name].given = n
        for group, edge_node, time_ns in database.execute("SELECT * FROM heard"):
            self._heard[Node(group, edge_node)] = time_ns
        for group, edge_node, time_ns in database.execute("SELECT * FROM seen"):
            self._seen[Node(group, edge_node)] = self._written_seen[Node(group, edge_node)] = time_ns
        self._written_heard = dict(self._heard)

    @property
    def is_dirty(self) -> bool:
        """Whether `write` has anything to write."""
        return bool(self._unwritten or self._dropped or self._changed_epochs or self._heard != self._written_heard)

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Write what is new; call `written` when the transaction has ended."""
        with self._lock:
            for node, id_ in self._unwritten:
                entry = self._entries.get(node, {}).get(id_)
                if entry is not None:
                    row = (*node, id_, entry.model_dump_json(exclude_defaults=True))
                    cursor.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)", row)
            for node, entry in self._dropped:
                cursor.execute('DELETE FROM entry WHERE "group" = ? AND edge_node = ? AND id = ?', (*node, entry.id))
                sort, sums = _sort(entry), self._forgotten[node]
                total = (*node, *sort, sums[sort, "entries"], sums[sort, "count"])
                cursor.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?, ?, ?, ?, ?, ?)", total)
            for node, name in self._changed_epochs:
                epoch = self._epochs[node][name]
                text = None if epoch.balance is None else epoch.balance.model_dump_json()
                state = (*node, name, epoch.begun_ns, epoch.before, epoch.received, text)
                cursor.execute("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?)", state)
                if epoch.given:
                    cursor.execute("INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?)", (*node, name, epoch.given))
            heard = dict(self._heard)
            for node in self._written_heard.keys() - heard.keys():
                cursor.execute('DELETE FROM heard WHERE "group" = ? AND edge_node = ?', node)
            for node, time_ns in heard.items():
                if self._written_heard.get(node) != time_ns:
                    cursor.execute("INSERT OR REPLACE INTO heard VALUES (?, ?, ?)", (*node, time_ns))
            for node, time_ns in list(self._seen.items()):
                if time_ns - self._written_seen.get(node, 0) >= SEEN_NS:
                    cursor.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (*node, time_ns))
                    self._written_seen[node] = time_ns
            self._pending = self._unwritten, self._dropped, self._changed_epochs, heard
            self._unwritten, self._dropped, self._changed_epochs = set(), [], set()

    def written(self, *, durable: bool) -> None:
        """Take note of how the transaction of the last `write` ended; when it failed, all is written again."""
        with self._lock:
            unwritten, dropped, epochs, heard = self._pending
            if durable:
                self._written_heard = heard
                return
            self._unwritten |= unwritten
            self._dropped = dropped + self._dropped
            self._changed_epochs |= epochs

    def _take(self, node: Node, entry: Entry) -> None:
        known = self._entries.setdefault(node, {})
        old = known.get(entry.id)
        grown = entry if old is None else old.grown(entry)
        if grown == old:
            return
        known[entry.id] = grown
        self._unwritten.add((node, entry.id))
        while len(known) > MOST_ENTRIES:
            gone = known.pop(min(known))
            self._unwritten.discard((node, gone.id))
            sums = self._forgotten.setdefault(node, Counter())
            sums[_sort(gone), "entries"] += 1
            sums[_sort(gone), "count"] += gone.count
            self._dropped.append((node, gone))


def _sort(entry: Entry) -> Sort:
    return entry.source, entry.reason, entry.outcome


def read_entry(text: str) -> Entry | None:
    """Return the entry that a metric tells, None when it is none."""
    try:
        return Entry.model_validate_json(text)
    except ValidationError:
        return None


def read_balance(text: str) -> Balance | None:
    """Return the balance that a metric tells, None when it is none."""
    try:
        return Balance.model_validate_json(text)
    except ValidationError:
        return None
