"""What became of everything that reached the gateway: durable counters per edge node, and what was set aside.

Counters and the account of losses (gateway.ledger.account) are collected in memory and written by `flush`, together
with what was set aside, in one transaction. One connection owns the file.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from contract.topics import Node
from gateway.ledger.account import Account
from spool import Reserve

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS counter (
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY ("group", edge_node, what)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, time_ns INTEGER NOT NULL,
    "group" TEXT NOT NULL, edge_node TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL
);
"""
ADD: Final = """
INSERT INTO counter VALUES (?, ?, ?, ?)
ON CONFLICT ("group", edge_node, what) DO UPDATE SET n = n + excluded.n
"""
SET_ASIDE: Final = """
INSERT OR IGNORE INTO aside (digest, time_ns, "group", edge_node, source, reason, body) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

STORE: Final = "store"
CLOUD: Final = "cloud"
RESERVE_BYTES: Final = 1 << 20

log = structlog.get_logger()


class LedgerError(Exception):
    """The ledger's file cannot be read or written."""


class Aside(NamedTuple):
    """Something that could not be stored. `source` is its topic, or STORE or CLOUD for a line that was refused."""

    time_ns: int
    node: Node
    source: str
    reason: str
    body: bytes


class Kept(NamedTuple):
    """One row of the quarantine's list: `size` bytes are kept under `id`."""

    id: int
    time_ns: int
    node: Node
    source: str
    reason: str
    size: int


class Ledger:
    """Counters per (edge node, what) and a bounded quarantine; safe to use from several threads.

    At most `max_items` things of `max_bytes` in all are kept aside; beyond that the oldest of the edge node that takes
    the most room go first, counted as `aside_dropped`.
    """

    def __init__(self, path: Path, *, max_items: int = 10_000, max_bytes: int = 64 << 20) -> None:
        self.account = Account()
        self._path = path
        self._reserve = Reserve(path.with_name(f"{path.name}.reserve"), RESERVE_BYTES)
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._totals: Counter[tuple[Node, str]] = Counter()
        self._unwritten: Counter[tuple[Node, str]] = Counter()
        self._waiting: list[Aside] = []
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or create the file and load the counters; a damaged file is set aside. Raise LedgerError."""
        try:
            try:
                self._load()
            except sqlite3.OperationalError:
                raise  # locked, unreadable or no space: the file itself is well
            except sqlite3.DatabaseError as damage:
                self.close()
                self._begin_anew(str(damage))
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{self._path}: {error}; check the disk and the permissions of the folder") from error

    def close(self) -> None:
        """Close the file; what was not flushed is lost."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def count(self, node: Node, what: str, n: int = 1) -> None:
        """Add `n` to the counter `what` of `node`."""
        key = (node, what)
        with self._lock:
            self._totals[key] += n
            self._unwritten[key] += n

    def totals(self) -> dict[tuple[Node, str], int]:
        """Return all counters, those of earlier runs included."""
        with self._lock:
            return dict(self._totals)

    def set_aside(self, aside: Aside) -> None:
        """Keep something that could not be stored; it is durable after the next `flush`. The same thing counts once."""
        with self._lock:
            full = len(self._waiting) >= self._max_items
            if not full:
                self._waiting.append(aside)
        if full:
            self.count(aside.node, "aside_dropped")

    def flush(self) -> None:
        """Make counters and things set aside durable; raise LedgerError and keep them for the next time."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            unwritten, self._unwritten = self._unwritten, Counter()
            if not waiting and not unwritten and not self.account.is_dirty:
                return
            try:
                new = self._write_in_room(unwritten, waiting)
            except sqlite3.Error as error:
                self.account.written(durable=False)
                self._waiting = waiting + self._waiting
                self._unwritten = unwritten + self._unwritten
                raise LedgerError(f"{self._path}: {error}; free disk space or check permissions") from error
            self.account.written(durable=True)
            self._totals.update(new)

    def aside(self) -> list[Aside]:
        """Return what is kept aside, the oldest first."""
        with self._lock:
            rows = self._connected().execute(
                'SELECT time_ns, "group", edge_node, source, reason, body FROM aside ORDER BY id'
            )
            return [Aside(row[0], Node(row[1], row[2]), *row[3:]) for row in rows]

    def kept(self) -> list[Kept]:
        """Return the list of what is kept aside, the oldest first, without the bytes."""
        with self._lock:
            rows = self._connected().execute(
                'SELECT id, time_ns, "group", edge_node, source, reason, length(body) FROM aside ORDER BY id'
            )
            return [Kept(row[0], row[1], Node(row[2], row[3]), *row[4:]) for row in rows]

    def find(self, id_: int) -> Aside | None:
        """Return what is kept under an id; None when nothing is."""
        with self._lock:
            row = (
                self._connected()
                .execute('SELECT time_ns, "group", edge_node, source, reason, body FROM aside WHERE id = ?', (id_,))
                .fetchone()
            )
        return None if row is None else Aside(row[0], Node(row[1], row[2]), *row[3:])

    def let_go(self, id_: int, what: str) -> bool:
        """Forget what is kept under an id and add it to the counter `what`; return whether there was any.

        Durable when it returns; raise LedgerError when it cannot be.
        """
        with self._lock:
            try:
                with self._transaction() as cursor:
                    row = cursor.execute(
                        'DELETE FROM aside WHERE id = ? RETURNING "group", edge_node', (id_,)
                    ).fetchone()
                    if row is not None:
                        cursor.execute(ADD, (*row, what, 1))
            except sqlite3.Error as error:
                raise LedgerError(f"{self._path}: {error}; free disk space or check permissions") from error
            if row is not None:
                self._totals[Node(*row), what] += 1
        return row is not None

    def _begin_anew(self, why: str) -> None:
        kept = self._path.with_suffix(".damaged")
        log.error("the ledger was damaged and begins anew", file=str(self._path), kept=str(kept), reason=why)
        for tail in ("-wal", "-shm"):
            self._path.with_name(self._path.name + tail).unlink(missing_ok=True)
        self._path.replace(kept)
        self._load()

    def _load(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        # its log shares the disk with the spool: 4 MiB of it, SQLite's own measure, would keep a small one full
        self._database.execute("PRAGMA wal_autocheckpoint = 64")
        self._database.executescript(SCHEMA)
        self._reserve.keep()
        self.account.load(self._database)
        for group, edge_node, what, n in self._database.execute("SELECT * FROM counter"):
            self._totals[Node(group, edge_node), what] = n

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            raise LedgerError(f"{self._path} is not open")
        return self._database

    def _write_in_room(self, counts: Counter[tuple[Node, str]], waiting: list[Aside]) -> Counter[tuple[Node, str]]:
        """Write, on a full disk in the room that is kept for it: the spool empties only behind the ledger."""
        try:
            new = self._write(counts, waiting)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            self.account.written(durable=False)
            self._reserve.give()
            new = self._write(counts, waiting)
        self._reserve.keep()
        return new

    def _write(self, counts: Counter[tuple[Node, str]], waiting: list[Aside]) -> Counter[tuple[Node, str]]:
        """Write all in one transaction; return what was counted on the way (set aside, dropped)."""
        new: Counter[tuple[Node, str]] = Counter()
        with self._transaction() as cursor:
            for aside in waiting:
                digest = hashlib.sha256(b"\0".join((aside.source.encode(), aside.body))).digest()
                cursor.execute(SET_ASIDE, (digest, aside.time_ns, *aside.node, aside.source, aside.reason, aside.body))
                if cursor.rowcount:
                    new[aside.node, "aside"] += 1
            if waiting:
                for node in self._drop(cursor):
                    new[node, "aside_dropped"] += 1
            cursor.executemany(ADD, ((*node, what, n) for (node, what), n in (counts + new).items()))
            self.account.write(cursor)
        return new

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with closing(self._connected().cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except sqlite3.Error:
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def _drop(self, cursor: sqlite3.Cursor) -> list[Node]:
        """Delete what is over the bounds; return the node of each thing.

        The oldest of the node that takes the most room goes first: who is flooded under one name takes no other's room.
        """
        kept: defaultdict[Node, deque[tuple[int, int]]] = defaultdict(deque)
        room: Counter[Node] = Counter()
        items = size = 0
        for id_, bytes_, *name in cursor.execute('SELECT id, length(body), "group", edge_node FROM aside ORDER BY id'):
            node = Node(*name)
            kept[node].append((id_, bytes_))
            room[node] += self._room(bytes_)
            items, size = items + 1, size + bytes_
        if items <= self._max_items and size <= self._max_bytes:
            return []
        heap = [(-taken, node) for node, taken in room.items()]
        heapify(heap)
        gone: list[tuple[int, Node]] = []
        while items > self._max_items or size > self._max_bytes:
            taken, node = heappop(heap)
            id_, bytes_ = kept[node].popleft()
            gone.append((id_, node))
            items, size = items - 1, size - bytes_
            if kept[node]:
                heappush(heap, (taken + self._room(bytes_), node))
        cursor.executemany("DELETE FROM aside WHERE id = ?", [(id_,) for id_, _ in gone])
        return [node for _, node in gone]

    def _room(self, size: int) -> int:
        """Return how much of the room a thing of so many bytes takes, as one of many and by its size."""
        return max(self._max_bytes // self._max_items, size)
