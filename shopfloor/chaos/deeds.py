"""What became of events, blocks and commands? It knows the machines' own account and the cloud, as the checker does.

An event and a block that was told is in the cloud once and as it was told, or its source had an outage, or the ledger
says that it is lost. A write was carried out once and in time, or not at all, as its verdict says; one that is
`unknown` was perhaps, and there was a fault.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from shopfloor.api import Api
from shopfloor.chaos.checker import FAR_NS, WRONG_NS, Finding, Outage, Verdict
from shopfloor.chaos.store import SECOND_NS, iso, parse_iso

LOST: Final = ("block_budget", "cloud_full")
"""Reasons in the ledger for which an event or a block may be missing."""
BLOCK_NS: Final = 2 * SECOND_NS
"""A block is on its way to the spool so long after its first number at most: it is measured, shown, read and split."""
UNDER_WAY_NS: Final = SECOND_NS
"""What is on the wire when a write expires cannot be called back; a machine carries it out so much later at most."""
OPEN: Final = ("queued", "sent")
NOT_DONE: Final = ("refused", "expired", "failed")


class Told(NamedTuple):
    """An event: `key` names it, `content` is what it says."""

    asset: str
    name: str
    time_ns: int
    state: str
    severity: int
    text: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Asset, name, time and state: no two events are alike in them."""
        return self[:4]


class Measured(NamedTuple):
    """A block, by the sha256 of its numbers."""

    asset: str
    sensor: str
    start_ns: int
    sha256: str


class Deed(NamedTuple):
    """A command that a machine has carried out, and when by the wall."""

    asset: str
    signal: str
    value: float
    time_ns: int


@dataclass(slots=True)
class Said:
    """What machines have told and done by their own account."""

    events: list[Told] = field(default_factory=list)
    blocks: list[Measured] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)


@dataclass(slots=True)
class Kept:
    """What the cloud has; `digests` remembers the blocks that were looked at, by id."""

    events: list[tuple[Told, bool]] = field(default_factory=list)
    """With whether the time is not the source's."""
    blocks: list[Measured] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)


class Fault(NamedTuple):
    """When something was harmed, until all data came again."""

    start_ns: int
    end_ns: int


def read_said(paths: Iterable[Path]) -> Said:
    """Return what the files of `simulators.emitted` say; a line that was cut off by a death is left out."""
    said = Said()
    for path in paths:
        for line in path.read_bytes().splitlines():
            if b'"values": {}' not in line or not line.endswith(b"}"):
                continue
            try:
                message = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            asset, time_ns = message["source"], message["time_ns"]
            if event := message.get("event"):
                names = ("state", "severity", "text")
                said.events.append(Told(asset, event["name"], time_ns, *(event[name] for name in names)))
            elif block := message.get("block"):
                said.blocks.append(Measured(asset, block["sensor"], time_ns, block["sha256"]))
            elif command := message.get("command"):
                said.deeds.append(Deed(asset, command["name"], command["value"], time_ns))
    return said


def crossings(
    asset: str, name: str, series: Mapping[int, Any], high: float, hysteresis: float, *, text: str
) -> list[Told]:
    """Return the events that a limit of a signal makes of all of its samples."""
    found, is_active = [], False
    for time_ns, value in sorted(series.items()):
        if value > high if not is_active else value <= high - hysteresis:
            is_active = not is_active
            found.append(Told(asset, name, time_ns, "active" if is_active else "cleared", 500, text))
    return found


def read_kept(api: Api, assets: Sequence[str], start_ns: int, end_ns: int, kept: Kept) -> None:
    """Read anew what the cloud has of assets of a time into `kept`; raise CommandError."""
    of = [("asset", asset) for asset in assets]
    during = [*of, ("start", iso(start_ns)), ("end", iso(end_ns))]
    kept.events = [(_told(each), each["time_replaced"]) for each in _pages(api, "events", [*during, ("limit", "1000")])]
    kept.blocks = []
    for each in _pages(api, "blocks", [*during, ("limit", "1000")]):
        if each["id"] not in kept.digests:
            values = array("f", api.get(f"blocks/{each['id']}")["values"])
            kept.digests[each["id"]] = hashlib.sha256(values.tobytes()).hexdigest()
        kept.blocks.append(Measured(each["asset"], each["sensor"], parse_iso(each["start"]), kept.digests[each["id"]]))
    kept.commands = list(_pages(api, "commands", [*of, ("limit", "200")]))


def _told(event: Mapping[str, Any]) -> Told:
    text = next(iter(event["texts"].values()), "")
    return Told(event["asset"], event["name"], parse_iso(event["time"]), event["state"], event["severity"], text)


def _pages(api: Api, what: str, query: Sequence[tuple[str, str | int]]) -> Iterable[dict[str, Any]]:
    after = ""
    while True:
        page = api.get(what, [*query, *([("after", after)] if after else [])])
        yield from page[what]
        after = page["after"]
        if not after:
            return


def losses(ledger: Mapping[str, Any]) -> list[Outage]:
    """Return what the ledger says of lost events and blocks, as outages of their machines."""
    return [
        Outage(entry["reason"], frozenset((entry["source"],)), parse_iso(entry["start"]), parse_iso(entry["end"]))
        for source in ledger["sources"]
        for entry in source["entries"]
        if entry["outcome"] == "lost" and entry["reason"] in LOST
    ]


class Deeds:
    """Compares what was said with what is kept, of a time; what is wrong goes to a verdict."""

    def __init__(self, verdict: Verdict, outages: Sequence[Outage], start_ns: int, end_ns: int) -> None:
        self.counts: Counter[str] = Counter()
        self._verdict = verdict
        self._outages = outages
        self._start_ns, self._end_ns = start_ns, end_ns

    def check_events(self, said: Iterable[Told], kept: Sequence[tuple[Told, bool]]) -> None:
        """Each event is kept once and equal; what is kept besides was told again at a return, or by a wrong clock."""
        told = {event.key: event for event in said}
        times = Counter(event.key for event, _ in kept)
        for event, _ in kept:
            if event.key in told:
                self._equal(told[event.key], event)
            elif self._is_ours(event.time_ns) and not self._why(event.asset, self._true_ns(event.time_ns)):
                self._wrong("alien", event.asset, event.name, event.time_ns, f"event {event.state}: {event.text}")
        for event in told.values():
            if not self._start_ns <= event.time_ns < self._end_ns:
                continue
            if times[event.key] > 1:
                self._wrong("doubled", event.asset, event.name, event.time_ns, f"event {event.state}")
            if times[event.key]:
                self.counts["events"] += 1
            elif self._why(event.asset, event.time_ns):
                self.counts["events explained"] += 1
            else:
                self._wrong("lost", event.asset, event.name, event.time_ns, f"event {event.state}: {event.text}")

    def _equal(self, told: Told, event: Told) -> None:
        if told != event:
            self._wrong("altered", event.asset, event.name, event.time_ns, f"{told[4:]} became {event[4:]}")

    def check_blocks(self, said: Iterable[Measured], kept: Sequence[Measured], sent: Collection[str]) -> None:
        """Each block of the assets in `sent` is kept, and none twice or otherwise.

        Numbers may come again, as those of a machine that is started anew with its seed: each time is a block.
        """
        measured: defaultdict[str, list[Measured]] = defaultdict(list)
        for block in said:
            measured[block.sha256].append(block)
        starts: defaultdict[str, list[int]] = defaultdict(list)
        for block in kept:
            starts[block.sha256].append(block.start_ns)
            if block.sha256 not in measured:
                self._wrong("altered", block.asset, block.sensor, block.start_ns, "a block of other numbers")
        for sha256, same in measured.items():
            there = starts[sha256]
            if len(there) > len(same) or len(set(there)) < len(there):
                self._wrong("doubled", same[-1].asset, same[-1].sensor, there[-1], "block")
            # one that a wrong clock has dated is there, though not at its time
            away = [block for block in same if block.start_ns not in there][: max(len(same) - len(there), 0)]
            for block in same:
                if not self._start_ns <= block.start_ns < self._end_ns:
                    continue
                if block not in away:
                    self.counts["blocks"] += 1
                elif block.asset in sent and self._why(block.asset, block.start_ns, block.start_ns + BLOCK_NS):
                    self.counts["blocks explained"] += 1
                elif block.asset in sent:
                    self._wrong("lost", block.asset, block.sensor, block.start_ns, "block")

    def check_requests(self, commands: Iterable[Mapping[str, Any]], kept: Iterable[Measured]) -> None:
        """Each block that an edge has said to be sent is kept: it is durable by then."""
        there = {(block.asset, block.start_ns) for block in kept}
        for each in commands:
            if each["do"]["verb"] != "send_block" or not self._has_verdict(each):
                continue
            self.counts[f"requests {each['state']}"] += 1
            start_ns, asset = each["do"]["start_ns"], each["asset"]
            replied_ns = max(parse_iso(step["time"]) for step in each["steps"])
            damaged = [outage for outage in self._outages if "spool-damaged" in outage.why]
            is_kept = (asset, start_ns) in there or _why(damaged, asset, parse_iso(each["created"]), replied_ns)
            if each["state"] == "done" and not is_kept:
                self._wrong("lost", asset, "block", start_ns, f"sent by the command {each['id']}")

    def check_writes(
        self,
        commands: Iterable[Mapping[str, Any]],
        deeds: Iterable[Deed],
        wished: Collection[str],
        faults: Sequence[Fault],
    ) -> None:
        """Each write was carried out once and in time, or not at all, as its verdict says."""
        done: defaultdict[tuple[str, str, float], list[int]] = defaultdict(list)
        for deed in deeds:
            done[deed[:3]].append(deed.time_ns)
        every = list(commands)
        for id_ in set(wished) - {each["id"] for each in every}:
            self._wrong("lost", "", id_, self._end_ns, "the cloud has taken the command, and has none")
        for each in every:
            if each["do"]["verb"] == "write":
                key = each["asset"], each["do"]["signal"], each["do"]["value"]
                self._check_write(each, done.pop(key, []), faults)
        for (asset, signal, value), times in done.items():
            self._wrong("alien", asset, signal, times[0], f"nobody has wished {value}")

    def _check_write(self, command: Mapping[str, Any], times: Sequence[int], faults: Sequence[Fault]) -> None:
        if not self._has_verdict(command):
            return
        state, asset, signal = command["state"], command["asset"], command["do"]["signal"]
        created_ns, expires_ns = parse_iso(command["created"]), parse_iso(command["expires"])
        self.counts[f"writes {state}"] += 1
        what = f"write {command['id']} of {command['do']['value']}, {state} ({command['reason']})"
        if len(times) > 1:
            self._wrong("doubled", asset, signal, times[1], what)
        was_under_way = any(s["step"] == "replied" and parse_iso(s["time"]) >= expires_ns for s in command["steps"])
        for time_ns in [each for each in times if each > expires_ns]:
            if state == "unknown" and was_under_way and time_ns < expires_ns + UNDER_WAY_NS:
                self.counts["writes on the wire at their expiry"] += 1
            elif self._is_held(asset, time_ns):
                self.counts["writes held back by the machine or its line"] += 1
            else:
                self._wrong("late", asset, signal, time_ns, f"by {(time_ns - expires_ns) / 1e6:.0f} ms: {what}")
        if (state in NOT_DONE and times) or (state == "done" and not times):
            self._wrong("false", asset, signal, created_ns, f"carried out {len(times)} times: {what}")
        is_harmed = any(f.start_ns <= expires_ns and created_ns <= f.end_ns for f in faults)
        if state == "unknown" and not is_harmed and not was_under_way:
            self._wrong("untold", asset, signal, created_ns, f"and there was no fault: {what}")

    def _has_verdict(self, command: Mapping[str, Any]) -> bool:
        if command["state"] in OPEN:
            text = f"the command {command['id']} has no verdict"
            self._wrong("untold", command["asset"], command["do"]["verb"], parse_iso(command["created"]), text)
        return command["state"] not in OPEN

    def _is_held(self, asset: str, time_ns: int) -> bool:
        """Whether a machine, or the line to it, held back then what an edge had sent."""
        held = [o for o in self._outages if "machine-cut" in o.why or ("stop" in o.why and not o.only_moves)]
        return bool(_why(held, asset, time_ns, time_ns))

    def _is_ours(self, time_ns: int) -> bool:
        return self._start_ns <= self._true_ns(time_ns) < self._end_ns

    def _true_ns(self, time_ns: int) -> int:
        """Return the time by a right clock."""
        if time_ns < self._start_ns - FAR_NS:
            return time_ns + WRONG_NS
        return time_ns - WRONG_NS if time_ns >= self._end_ns + FAR_NS else time_ns

    def _why(self, asset: str, first_ns: int, last_ns: int | None = None) -> str:
        return _why(self._outages, asset, first_ns, first_ns if last_ns is None else last_ns)

    def _wrong(self, what: str, asset: str, name: str, time_ns: int, detail: str) -> None:
        self._verdict.note(Finding(what, asset, name, time_ns, detail))


def _why(outages: Iterable[Outage], asset: str, first_ns: int, last_ns: int) -> str:
    """Return why a source could not be heard, or not be dated, at some time from `first_ns` to `last_ns`."""
    mine = (o for o in outages if asset in o.sources and o.start_ns <= last_ns and first_ns <= o.end_ns)
    return next((outage.why for outage in mine), "")
