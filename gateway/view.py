"""A gateway at one moment, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from contract.topics import Node
from gateway.progress import Progress
from spool import Stats

GRACE_S: Final = 5.0  # a store that restarts is no alarm
FULL: Final = 0.9
FORGOTTEN_S: Final = 7 * 86400.0  # after that long a node that is offline is no alarm any more


@dataclass(frozen=True, slots=True)
class NodeView:
    """An edge node as health sees it: seconds since its last message, and after how many it should have spoken.

    `age_s` is None where nobody knows. `waits`: while it cannot get through, what it reads waits there. `doubt` says
    why it does not count as online, or has to prove that it is; `trouble` why its plant file is not applied.
    """

    node: Node
    online: bool
    age_s: float | None
    silent_s: float
    waits: bool = False
    doubt: str = ""
    trouble: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it should be online; one that is gone for good is not missed for ever."""
        return self.waits and not self.online and self.age_s is not None and self.silent_s < self.age_s < FORGOTTEN_S

    def __str__(self) -> str:
        age = "" if self.age_s is None else f" ({self.age_s:.0f} s)"
        return f"{'/'.join(self.node)}{age}{f': {self.doubt}' if self.doubt else ''}"


@dataclass(frozen=True, slots=True)
class CloudView:
    """The way to the cloud: what is held for it in the spool, of at most so many bytes."""

    delivering: bool
    progress: Progress
    records: int
    bytes: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class View:
    """All that health and metrics are made of, at one moment (`now`: monotonic seconds, `now_ns`: UTC)."""

    now: float
    now_ns: int
    connected: bool
    trouble: str  # the broker's: why it is not connected, or does not stay so
    network_alive: bool
    state_online: bool
    forwarding: bool
    progress: Progress
    spool: Stats
    cloud: CloudView | None = None  # None: no cloud is set
    kept: int = 0  # records of the spool that the store has, and that are kept for the cloud
    not_shown: int = 0  # events that the namespace was not shown
    ledger_trouble: str = ""
    mirror_trouble: str = ""  # of the broker that the mirror goes to
    nodes: list[NodeView] = field(default_factory=list)
    counters: dict[tuple[Node, str], int] = field(default_factory=dict)
    stuck_s: float = 30.0

    @property
    def waiting(self) -> int:
        """How many records of the spool the store does not have yet."""
        return max(0, self.spool.records - self.kept)

    @property
    def oldest_s(self) -> float:
        """Age of the oldest record in the spool, in seconds."""
        return 0.0 if self.spool.oldest_ns is None else max(0.0, (self.now_ns - self.spool.oldest_ns) / 1e9)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; `detail` says, when not ok, what is wrong and what to do."""

    name: str
    ok: bool
    detail: str


def checks(view: View) -> list[Check]:
    """Judge a view."""
    return [
        _broker(view),
        _state(view),
        _mirror(view),
        _spool(view),
        _forward(view),
        _cloud(view),
        _ledger(view),
        _nodes(view),
    ]


def report(view: View) -> tuple[bool, bytes]:
    """Return whether all is well, and the report as JSON."""
    judged = checks(view)
    ok = all(check.ok for check in judged)
    content: dict[str, Any] = {
        "status": "ok" if ok else "failing",
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in judged],
        "nodes": [
            {
                "node": "/".join(seen.node),
                "online": seen.online,
                "last_message_age_s": None if seen.age_s is None else round(seen.age_s, 1),
                "detail": seen.doubt or seen.trouble,
            }
            for seen in view.nodes
        ],
        "spool": {
            "records": view.spool.records,
            "bytes": view.spool.bytes,
            "max_bytes": view.spool.max_bytes,
            "oldest_age_s": round(view.oldest_s, 1),
        },
        "sinks": {"store": _sink(view, view.progress, view.waiting)},
    }
    if view.cloud is not None:
        cloud = view.cloud
        held = {"bytes": cloud.bytes, "max_bytes": cloud.max_bytes}
        content["sinks"]["cloud"] = _sink(view, cloud.progress, cloud.records) | held
    return ok, orjson.dumps(content)


def _sink(view: View, progress: Progress, waiting: int) -> dict[str, Any]:
    """Return how a sink does: what waits for it, since when it takes nothing, and why."""
    since = progress.failing_since
    away_s = 0.0 if since is None else round(view.now - since, 1)
    return {"waiting": waiting, "away_s": away_s, "trouble": progress.trouble}


def _broker(view: View) -> Check:
    if not view.network_alive:
        return Check("broker", False, "the network thread has ended; restart the gateway and report this")
    if not view.connected:
        return Check(
            "broker", False, f"not connected: {view.trouble or 'connecting'}; start the MQTT broker or correct"
        )
    if view.trouble:
        return Check("broker", False, view.trouble)
    return Check("broker", True, "connected")


def _state(view: View) -> Check:
    if not view.state_online:
        return Check("state", False, "STATE is not published: edge nodes hold their data back until it is")
    return Check("state", True, "online")


def _mirror(view: View) -> Check:
    if view.mirror_trouble:
        text = "who opens a live view now sees what was kept before: start the broker, free its disk and start it anew"
        detail = f"{view.mirror_trouble}; {text}"
        return Check("mirror", False, detail)
    return Check("mirror", True, "connected")


def _spool(view: View) -> Check:
    share = view.spool.bytes / view.spool.max_bytes
    if share >= FULL:
        detail = f"{share:.0%} full; bring the store back, or raise SHOPFLOOR_GATEWAY_SPOOL_BYTES"
        return Check("spool", False, detail)
    return Check("spool", True, f"{view.spool.records} records")


def _forward(view: View) -> Check:
    progress = view.progress
    if not view.forwarding:
        return Check("forward", False, "the forwarding thread has ended; restart the gateway and report this")
    if progress.failing_since is not None and view.now - progress.failing_since >= GRACE_S:
        for_s = view.now - progress.failing_since
        return Check("forward", False, f"for {for_s:.0f} s: {progress.trouble}")
    still_s = view.now - progress.moved
    if view.waiting and still_s >= view.stuck_s:
        return Check("forward", False, f"no answer of the store for {still_s:.0f} s; is it overloaded?")
    return Check("forward", True, f"{view.waiting} records wait")


def _cloud(view: View) -> Check:
    cloud = view.cloud
    if cloud is None:
        return Check("cloud", True, "none is set (SHOPFLOOR_CLOUD_URL): events and blocks are counted, and go nowhere")
    if not cloud.delivering:
        return Check("cloud", False, "the delivering thread has ended; restart the gateway and report this")
    progress = cloud.progress
    held = f"{cloud.records} records are held for it ({cloud.bytes / cloud.max_bytes:.0%} of what may be)"
    if progress.failing_since is not None and view.now - progress.failing_since >= GRACE_S:
        return Check("cloud", False, f"for {view.now - progress.failing_since:.0f} s: {progress.trouble}; {held}")
    return Check("cloud", True, held)


def _ledger(view: View) -> Check:
    return Check("ledger", not view.ledger_trouble, view.ledger_trouble or "written")


def _nodes(view: View) -> Check:
    online = [seen for seen in view.nodes if seen.online]
    if not online:
        return Check("nodes", False, "no edge node is online; start one (python -m edge plant.yaml)")
    silent = [seen for seen in online if seen.age_s is not None and seen.age_s > seen.silent_s]
    if silent:
        names = ", ".join(map(str, silent))
        return Check("nodes", False, f"online but silent: {names}; look at its log and its network")
    missed = [seen for seen in view.nodes if seen.is_missed]
    if missed:
        names = ", ".join(map(str, missed))
        return Check("nodes", False, f"offline: {names}; what it reads waits there: start it, or look at its network")
    old = "".join(f"; {seen} does not apply its plant file: {seen.trouble}" for seen in online if seen.trouble)
    return Check("nodes", True, f"{len(online)} online{old}")
