"""The ledger of each source, added up and published: what it produced, where that is now, what is lost and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from contract.identity import Ids, path_of, shortened
from contract.loss import MOST_TOLD, Entry, Loss, MachineLedger, SourceLedger
from contract.topics import EMPTY_LEVEL, Node, UnsTopic
from gateway.ledger.account import Account, Epoch
from gateway.ledger.file import Ledger
from gateway.ledger.tally import Delivered, Stored, Tally
from gateway.sinks import Cursors
from spool import Spool, SpoolError, Stats

GATEWAY: Final = Node("-", "gateway")  # the source of what the gateway itself lost
NOBODY: Final = Node("-", "-")  # under whom the messages of topics that name no known edge node are counted
PERIOD_S: Final = 5.0
MESSAGES: Final = ("sequence", "edge_spool", "gateway_spool", "gateway_full")  # reasons that count messages

_NOTHING: Final[Counter[str]] = Counter()

Counters = Mapping[tuple[Node, str], int]
Publish = Callable[[str, bytes], bool]
Tell = Callable[[Node, SourceLedger], None]


def received_in(epochs: Mapping[str, Epoch]) -> int:
    """Return how many messages of a node were received in all its epochs."""
    return sum(epoch.received for epoch in epochs.values())


def unexplained_in(epochs: Mapping[str, Epoch]) -> int:
    """Return how many messages an edge node has let go that were never received: there can be none.

    The edge lets go of what was acknowledged, and what is acknowledged is in the spool of this gateway, or of the one
    that was here before.
    """
    return sum(
        max(0, epoch.balance.acknowledged - epoch.received - epoch.elsewhere)
        for epoch in epochs.values()
        if epoch.balance
    )


def source_ledger(
    node: Node,
    account: Account,
    epochs: Mapping[str, Epoch],
    stored: Stored,
    delivered: Mapping[str, int] = _NOTHING,
    *,
    counters: Counters,
    now_ms: int,
) -> SourceLedger:
    """Return the ledger of an edge node."""
    acknowledges = bool(epochs)
    losses = account.losses(node)
    lost = sum(
        count
        for (source, reason, outcome), (_, count) in losses.items()
        if outcome == "lost" and not source and reason in MESSAGES
    )
    unexplained = unexplained_in(epochs)
    done = stored.messages + stored.aside
    if acknowledges:
        before = sum(epoch.before for epoch in epochs.values())
        received = max(received_in(epochs), done + before)
        kept = stored.messages + before
        newest = list(epochs.values())[-1]
        told = newest.balance
        taken = newest.received + newest.elsewhere
        waiting_there = 0 if told is None else max(0, told.produced - max(told.acknowledged, taken))
        produced = received + waiting_there + lost + unexplained
    else:
        received = max(counters.get((node, "received"), 0), done)
        kept, waiting_there = stored.messages, 0
        produced = received + lost + counters.get((node, "unreadable_data"), 0)
    return SourceLedger(
        time=now_ms,
        source=shortened(path_of(node, None)),
        acknowledges=acknowledges,
        produced=produced,
        received=received,
        stored=kept,
        repeated=counters.get((node, "repeated"), 0),
        refused=counters.get((node, "refused"), 0),
        quarantined=max(stored.aside, counters.get((node, "aside"), 0)),
        waiting=waiting_there + max(0, received - kept - stored.aside),
        events=delivered.get("event", 0),
        blocks=delivered.get("block", 0),
        lost=lost,
        unexplained=unexplained,
        machines=[
            MachineLedger(asset=device, messages=messages, samples=samples)
            for device, (messages, samples) in sorted(stored.assets.items())
            if device
        ],
        losses=[
            Loss(source=source, reason=reason, outcome=outcome, entries=entries, count=count)
            for (source, reason, outcome), (entries, count) in losses.items()
        ],
        entries=account.entries(node, MOST_TOLD),
    )


class LedgerPublisher:
    """Adds up and publishes every `PERIOD_S` what has changed; used by one thread."""

    def __init__(
        self,
        ledger: Ledger,
        tally: Tally,
        spool: Spool,
        ids: Ids | None = None,
        *,
        cursors: Cursors | None = None,
        delivered: Delivered | None = None,
        tell: Tell = lambda _node, _told: None,
    ) -> None:
        """`tell` is called with each ledger that has changed: it brings it to the cloud."""
        self._cursors = Cursors(spool) if cursors is None else cursors
        self._delivered = Delivered(spool) if delivered is None else delivered
        self._tell = tell
        self._ledger = ledger
        self._tally = tally
        self._spool = spool
        self._ids = Ids() if ids is None else ids
        self._shown: dict[Node, SourceLedger] = {}
        self._told: dict[Node, SourceLedger] = {}
        self._told_drops: dict[tuple[int, int], int] = {}
        self._not_before = 0.0

    def forget(self) -> None:
        """Publish everything again: the broker may have forgotten it."""
        self._shown.clear()

    def sources(self, now_ms: int) -> dict[Node, SourceLedger]:
        """Return the ledger of every source; raise SpoolError when the spool is closed."""
        account, counters = self._ledger.account, self._ledger.totals()
        nodes = (account.nodes() | {*self._tally.nodes(), *self._delivered.nodes()}) - {GATEWAY, NOBODY}
        # what is let go here or there was received before, so what was received is read after what the edges have let
        # go, and before what is in the spool, and that before what has left it: so no number can be short by haste
        epochs = {node: account.epochs(node) for node in nodes}
        for node, known in epochs.items():
            for name, epoch in known.items():
                intervals = self._spool.received("/".join(node), name)
                epoch.received = max(epoch.received, sum(last - first + 1 for first, last in intervals))
                account.received(node, name, epoch.received)
                epoch.elsewhere = account.elsewhere(node, name, intervals)
        stats = self._spool.stats
        kept = self._cursors.kept  # stored, and in the spool for the cloud alone
        owed = sum(max(0, self._owed(node, known)) for node, known in epochs.items())
        self._look_at_drops(stats)
        told = {
            node: source_ledger(
                node,
                account,
                epochs[node],
                self._tally.of(node),
                self._delivered.of(node),
                counters=counters,
                now_ms=now_ms,
            )
            for node in sorted(nodes)
        }
        own = source_ledger(GATEWAY, account, {}, Stored(), counters=counters, now_ms=now_ms)
        missing = max(0, owed - (stats.records - kept) - stats.dropped)
        told[GATEWAY] = own.model_copy(
            update={
                "quarantined": counters.get((NOBODY, "aside"), 0),
                "refused": counters.get((NOBODY, "refused"), 0),
                "unexplained": missing,
                "produced": own.lost + missing,
            }
        )
        return told

    def _owed(self, node: Node, epochs: Mapping[str, Epoch]) -> int:
        """Return how many messages of an acknowledging node were received, but are neither stored nor set aside."""
        stored = self._tally.of(node)
        return received_in(epochs) - sum(epoch.before for epoch in epochs.values()) - stored.messages - stored.aside

    def _look_at_drops(self, stats: Stats) -> None:
        for dropped in stats.dropped_ranges:
            if self._told_drops.get((dropped.first, dropped.time_ns)) == dropped.records:
                continue
            self._told_drops[dropped.first, dropped.time_ns] = dropped.records
            entry = Entry(
                id=dropped.time_ns,
                reason="gateway_spool",
                count=dropped.records,
                first=dropped.first,
                last=dropped.last,
                start_ns=dropped.time_ns,
                end_ns=dropped.time_ns,
                detail=f"records of the gateway's spool are {dropped.reason}",
            )
            self._ledger.account.enter(GATEWAY, entry)

    def tick(self, now: float, now_ms: int, publish: Publish) -> int:
        """Publish what is due; what `publish` does not take stays due. Return the number of messages."""
        if now < self._not_before:
            return 0
        self._not_before = now + PERIOD_S
        try:
            sources = self.sources(now_ms)
        except SpoolError:
            return 0  # health says so
        count = 0
        for node, told in sources.items():
            if _is_news(told, self._told.get(node)):
                self._tell(node, told)
                self._told[node] = told
            if _is_news(told, self._shown.get(node)) and publish(
                str(self._topic(node)), told.model_dump_json().encode()
            ):
                self._shown[node] = told
                count += 1
        return count

    def _topic(self, node: Node) -> UnsTopic:
        if node == GATEWAY:
            return UnsTopic(EMPTY_LEVEL, EMPTY_LEVEL, EMPTY_LEVEL, node.edge_node, node.edge_node, "ledger")
        return UnsTopic(*self._ids.place(node), self._ids.asset(node, None), "ledger")


def _is_news(told: SourceLedger, before: SourceLedger | None) -> bool:
    return before is None or told != before.model_copy(update={"time": told.time})
