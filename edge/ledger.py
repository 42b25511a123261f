"""The edge's part of the loss ledger of one line: what its machines, drivers, clock and spool lost, and when.

Every entry goes into the spool as a metric of the node, like data, so that it reaches the gateway whatever happens;
only while the spool takes nothing does it wait here. What must outlive the process (the epoch's beginning, until when
each machine was heard) is kept in the spool's notes. Time is an argument: ns since 1970.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, Literal

import orjson

from contract.loss import BALANCE, ENTRY, Balance, Entry, Reason
from contract.model import Datatype, Sample, Signal
from spool import Spool, SpoolError

SIGNALS: Final = (
    Signal(ENTRY, Datatype.STRING, description="a loss, a gap or a clock jump"),
    Signal(BALANCE, Datatype.STRING, description="what became of the messages of the spool"),
)
_ORIGIN_NOTE: Final = "ledger_origin"
_HEARD_NOTE: Final = "heard_until"
_MERGE_NS: Final = 60_000_000_000  # losses of one sort within this time are one entry, which grows
_MOST_WAITING: Final = 1000
_JUMP_NS: Final = 1_000_000_000

Put = Callable[[str, Sequence[Sample]], list[Future[int | None]]]


class EdgeLedger:
    """Takes entries from any thread. `tick` every few seconds."""

    def __init__(self, spool: Spool, put: Put, asset: str) -> None:
        self._spool = spool
        self._put = put
        self._asset = asset
        self._lock = threading.Lock()
        self._last_id = 0
        self._waiting: dict[int, Entry] = {}
        self._growing: dict[tuple[str, Reason, str], Entry] = {}
        self._told_drops: dict[tuple[int, int], int] = {}
        self._clock: tuple[int, int] | None = None  # wall, monotonic
        self._origin: dict[str, Any] = {}
        self._heard_until: dict[str, int] = {}
        self.overrun = 0  # entries that were merged because too many waited

    def open(self, now_ns: int) -> None:
        """Read the notes; raise SpoolError."""
        self._heard_until = orjson.loads(self._spool.note(_HEARD_NOTE) or b"{}")
        self._origin = orjson.loads(self._spool.note(_ORIGIN_NOTE) or b"{}")
        if self._origin.get("epoch") != self._spool.epoch:
            self._begin_epoch()
        salvage = self._spool.salvage
        if salvage is not None:
            detail = f"{salvage.reason}; {salvage.kept} messages were kept"
            self.enter("", "edge_spool", now_ns, now_ns, outcome="noted", detail=detail)

    def _begin_epoch(self) -> None:
        """Count from here on: what waits is of the new epoch. Raises SpoolError."""
        stats = self._spool.stats
        gone = stats.last_n - stats.records - stats.dropped
        self._origin = {"epoch": self._spool.epoch, "last_n": stats.last_n - stats.records, "gone": gone}
        self._spool.set_notes({_ORIGIN_NOTE: orjson.dumps(self._origin)})

    def renewed(self, now_ns: int, detail: str) -> None:
        """Tell that the spool has begun a new epoch, and why; raise SpoolError."""
        self._begin_epoch()
        self.enter("", "edge_spool", now_ns, now_ns, detail=detail)

    def heard_until(self, machine: str) -> int:
        """Return until when a machine was heard before it was served anew; 0 for never."""
        return self._heard_until.get(machine, 0)

    def enter(
        self,
        source: str,
        reason: Reason,
        start_ns: int,
        end_ns: int,
        *,
        outcome: Literal["lost", "filled", "noted"] = "lost",
        count: int = 0,
        detail: str = "",
    ) -> None:
        """Make an entry; it is in the spool when this returns, or waits for the spool."""
        with self._lock:
            entry = Entry(
                id=self._new_id(end_ns),
                source=source,
                reason=reason,
                outcome=outcome,
                count=count,
                start_ns=start_ns,
                end_ns=max(start_ns, end_ns),
                detail=detail[:1000],
            )
            self._wait(entry)
        self._send()

    def lose(
        self,
        source: str,
        reason: Reason,
        count: int,
        now_ns: int,
        *,
        since_ns: int = 0,
        detail: str = "",
        outcome: Literal["lost", "noted"] = "lost",
    ) -> None:
        """Count losses of one sort, or what else is to be noted.

        Those of one detail that come within a minute are one entry, told at once and at each tick.
        """
        sort = source, reason, detail
        with self._lock:
            old = self._growing.get(sort)
            if old is not None and 0 <= now_ns - old.end_ns < _MERGE_NS:
                entry = old.model_copy(update={"count": old.count + count, "end_ns": now_ns})
            else:
                old = None
                start_ns = since_ns or now_ns
                entry = Entry(
                    id=self._new_id(now_ns),
                    source=source,
                    reason=reason,
                    outcome=outcome,
                    count=count,
                    start_ns=min(start_ns, now_ns),
                    end_ns=now_ns,
                    detail=detail[:1000],
                )
            self._growing[sort] = entry
            self._wait(entry)
        if old is None:
            self._send()

    def tick(self, now_ns: int, monotonic_ns: int, heard_until: Mapping[str, int]) -> None:
        """Tell what is due; `heard_until` says it of each machine (0: not yet), for the next run."""
        self._look_at_clock(now_ns, monotonic_ns)
        self._look_at_drops()
        self._send()
        self.hear(heard_until)

    def hear(self, heard_until: Mapping[str, int]) -> None:
        """Note until when machines were heard (0: not yet). Raises SpoolError."""
        known = self._heard_until | {name: until_ns for name, until_ns in heard_until.items() if until_ns}
        if known != self._heard_until:
            self._heard_until = known
            self._spool.set_notes({_HEARD_NOTE: orjson.dumps(known)})

    def balance(self) -> Balance:
        """Return the balance of the spool now."""
        origin = self._origin  # of one epoch, also while another one begins
        stats = self._spool.stats
        gone = stats.last_n - stats.records - stats.dropped - int(origin["gone"])
        return Balance(
            epoch=str(origin["epoch"]),
            produced=stats.last_n - int(origin["last_n"]),
            acknowledged=max(0, gone),
            waiting=stats.records,
            dropped=stats.dropped,
            refused=stats.refused,
        )

    def sample(self, now_ns: int) -> Sample:
        """Return the balance as the metric that tells it."""
        return Sample(self._asset, BALANCE, now_ns, self.balance().model_dump_json())

    def _new_id(self, now_ns: int) -> int:
        self._last_id = max(self._last_id + 1, now_ns)
        return self._last_id

    def _wait(self, entry: Entry) -> None:
        """Keep an entry until the spool takes it; when too many wait, it joins the newest of its sort."""
        if entry.id not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            same = [e for e in self._waiting.values() if (e.source, e.reason) == (entry.source, entry.reason)]
            old = same[-1] if same else next(iter(self._waiting.values()))
            self.overrun += 1
            entry = old.model_copy(
                update={
                    "count": old.count + entry.count,
                    "end_ns": max(old.end_ns, entry.end_ns),
                    "detail": f"{old.detail} (several entries, merged while the spool was full)"[:1000],
                }
            )
        self._waiting[entry.id] = entry

    def _send(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            samples = [
                Sample(self._asset, ENTRY, self._new_id(entry.end_ns), entry.model_dump_json(exclude_defaults=True))
                for entry in waiting.values()
            ]
        if not samples:
            return
        # without the lock: the spool's thread needs it to give back what the disk did not take
        try:
            futures = self._put("", samples)
        except SpoolError:
            self._take_back(waiting)  # the runner says that the spool is full
            return
        for future in futures:
            future.add_done_callback(lambda done: self._look_at_put(done, waiting))

    def _look_at_put(self, done: Future[int | None], entries: dict[int, Entry]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._take_back(entries)

    def _take_back(self, entries: dict[int, Entry]) -> None:
        """Keep entries that the spool did not keep after all; told twice is harmless."""
        with self._lock:
            self._waiting = entries | self._waiting

    def _look_at_clock(self, now_ns: int, monotonic_ns: int) -> None:
        before, self._clock = self._clock, (now_ns, monotonic_ns)
        if before is None:
            return
        expected_ns = before[0] + monotonic_ns - before[1]
        jump_ns = now_ns - expected_ns
        if abs(jump_ns) >= _JUMP_NS:
            detail = (
                f"the clock of the edge was set {'forward' if jump_ns > 0 else 'back'} by {abs(jump_ns) / 1e9:.1f} s"
            )
            start_ns, end_ns = sorted((expected_ns, now_ns))
            self.enter("", "clock", start_ns, end_ns, outcome="noted", detail=detail)

    def _look_at_drops(self) -> None:
        for dropped in self._spool.stats.dropped_ranges:
            key = (dropped.first, dropped.time_ns)
            if self._told_drops.get(key) == dropped.records:
                continue
            self._told_drops[key] = dropped.records
            entry = Entry(
                id=dropped.time_ns,
                reason="edge_spool",
                count=dropped.records,
                first=dropped.first,
                last=dropped.last,
                start_ns=dropped.time_ns,
                end_ns=dropped.time_ns,
                detail=f"records of the edge's spool are {dropped.reason}",
            )
            with self._lock:
                self._wait(entry)
