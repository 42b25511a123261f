"""Has every odd input what it must have: the value as it must be stored, and its word (ledger, health, quarantine)?"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from urllib.request import Request, urlopen

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shopfloor.api import Api
from shopfloor.chaos.checker import Finding, Value, Verdict
from shopfloor.chaos.odd import LINE, UNSAID, Moment, N, OnOpcua, OnSparkplug, Row, Said, Want
from shopfloor.chaos.store import SECOND_NS, iso

ARRIVAL_NS: Final = 30 * SECOND_NS
TIMEOUT_S: Final = 30.0
_MS: Final = 1_000_000
_TYPES: Final = ("boolean", "int64", "uint64", "text", "value")


class Sample(NamedTuple):
    """What is stored of a signal at a time."""

    time_ns: int
    value: Value
    quality: int
    status: int

    def __str__(self) -> str:
        return f"{self.value!r:.60} (quality {self.quality}, status {self.status:#x})"


class Kept(NamedTuple):
    """What the platform has: samples by (asset, signal) as rows name them, losses, and what is in quarantine.

    `losses`: (source, reason) and how many; `nodes`: the same of edge nodes themselves (area/line); `health`: (machine,
    counter) that were ever more than 0; `aside`: edge node and reason of each message that was set aside.
    """

    samples: Mapping[tuple[str, str], Sequence[Sample]]
    losses: Counter[tuple[str, str]]
    health: Collection[tuple[str, str]]
    aside: Sequence[tuple[str, str]]
    nodes: Mapping[tuple[str, str], int] = MappingProxyType({})


def check(said: Sequence[Said], kept: Kept, verdict: Verdict) -> Counter[str]:
    """Note in the verdict what is not as it must be; return how often each row was said."""
    times = Counter(each.row.name for each in said)
    for row in {each.row.name: each.row for each in said}.values():
        mine = [each for each in said if each.row is row]
        for key in dict.fromkeys((want.asset, want.signal) for want in row.wants):
            wants = [want for want in row.wants if (want.asset, want.signal) == key]
            _check_samples(verdict, row, mine, wants, kept.samples.get((key[0] or row.name, key[1]), ()))
        _check_words(verdict, row, mine, kept)
    return times


def _check_samples(
    verdict: Verdict, row: Row, said: Sequence[Said], wants: Sequence[Want], stored: Sequence[Sample]
) -> None:
    """Each sample that must be there is there once, and no other is."""
    asset, signal = wants[0].asset or row.name, wants[0].signal
    left = sorted(sample for sample in stored if sample.status != UNSAID)
    for each in said:
        for want in wants:
            found = next((sample for sample in left if _is(sample, want, each)), None)
            if found is None:
                at_ns = each.moment.ms * _MS
                expected = f"{_value(want, each.moment)!r:.60} (quality {want.quality})"
                verdict.note(Finding("lost", asset, signal, at_ns, f"{row.name}: {expected}"))
            else:
                left.remove(found)
    for sample in left:
        verdict.note(Finding("alien", asset, signal, sample.time_ns, f"{row.name}: {sample}"))


def _is(sample: Sample, want: Want, said: Said) -> bool:
    value = _value(want, said.moment)
    if (sample.quality, sample.status, sample.value) != (want.quality, want.status, value):
        return False
    if isinstance(value, bool) != isinstance(sample.value, bool):
        return False
    if want.ms is not None:
        return sample.time_ns == (said.moment.ms + want.ms) * _MS + want.ns
    return said.moment.ms * _MS <= sample.time_ns <= said.end_ns + ARRIVAL_NS


def _value(want: Want, moment: Moment) -> Value:
    return moment.n + want.value.plus if isinstance(want.value, N) else want.value


def _check_words(verdict: Verdict, row: Row, said: Sequence[Said], kept: Kept) -> None:
    for word in row.words:
        at_ns = said[-1].moment.ms * _MS
        if word.where == "ledger":
            told, due = kept.losses[row.name, word.what], word.times * len(said)
            # what an OPC UA server holds is told again at each connection
            if told < due or (told > due and not isinstance(row, OnOpcua)):
                detail = f"the ledger has {told} {word.what}, {due} are due"
                verdict.note(Finding("untold", row.name, "", at_ns, detail))
        elif word.where == "node":
            detail = _untold(kept, ("/".join(LINE), word.what), word.times * len(said))
            if detail:
                verdict.note(Finding("untold", row.name, "", at_ns, detail))
        elif word.where == "health":
            if (row.name, word.what) not in kept.health:
                verdict.note(Finding("untold", row.name, "", at_ns, f"its health never says {word.what}"))
        elif isinstance(row, OnSparkplug):
            nodes = {f"{device.group}/{device.edge_node}" for device in row.homes}
            if not any(node in nodes and word.what in reason for node, reason in kept.aside):
                detail = f"nothing in quarantine says {word.what!r}"
                verdict.note(Finding("untold", row.name, "", at_ns, detail))


def check_put_backs(lines: Collection[str], times: int, kept: Kept, verdict: Verdict) -> None:
    """Note each edge node (area/line) of which the ledger does not tell that its spool was put back so often."""
    for line in lines:
        if detail := _untold(kept, (line, "edge_spool"), times):
            verdict.note(Finding("untold", line, "", 0, detail))


def _untold(kept: Kept, entry: tuple[str, str], due: int) -> str:
    """Say what the ledger of an edge node lacks, empty when it has all."""
    told = kept.nodes.get(entry, 0)
    return f"the ledger has {told} {entry[1]} of {entry[0]}, {due} are due" if told < due else ""


def read_kept(api: Api, rows: Collection[Row], quarantine: Request, start_ns: int, end_ns: int) -> Kept:
    """Return what is there of the rows from `start_ns` to before `end_ns`; raise CommandError or OSError."""
    assets = api.get("assets")
    samples: dict[tuple[str, str], list[Sample]] = {}
    for row in rows:
        for name in {want.asset or row.name for want in row.wants}:
            site, _, label = name.rpartition(":")
            for asset in (a for a in assets if (a["label"] or a["id"]) == label and site in ("", a["site"])):
                stored = _samples(api, asset["id"], start_ns, end_ns)
                samples |= {(name, signal): found for signal, found in stored.items()}
    counters = [(row.name, word.what) for row in rows for word in row.words if word.where == "health"]
    health = [counter for counter in counters if _counted(api, assets, counter, start_ns, end_ns)]
    ledger = api.get("ledger")
    losses: Counter[tuple[str, str]] = Counter()
    nodes: Counter[tuple[str, str]] = Counter()
    for source in ledger["sources"]:
        line = source["source"].rpartition(":")[2]
        for loss in source["losses"]:
            losses[loss["source"], loss["reason"]] += loss["count"]
            if not loss["source"]:  # what nobody can count is told once for each time
                nodes[line, loss["reason"]] += max(loss["count"], loss["entries"])
    losses["", "unexplained"] = ledger["unexplained"]
    with urlopen(quarantine, timeout=TIMEOUT_S) as answer:  # noqa: S310 - our own gateway
        aside = [(each["node"], each["reason"]) for each in orjson.loads(answer.read())]
    return Kept(samples, losses, health, aside, nodes)


def _counted(api: Api, assets: Any, counter: tuple[str, str], start_ns: int, end_ns: int) -> bool:
    """Whether the edge node of a machine has said that one of its counters is more than 0."""
    signal = f"Health/{counter[0]}/{counter[1]}"
    [area] = {asset["area"] for asset in assets if asset["id"] == counter[0]} or {""}
    nodes = [asset["id"] for asset in assets if asset["kind"] == "node" and asset["area"] == area]
    said = [_samples(api, node, start_ns, end_ns, (signal,)).get(signal, ()) for node in nodes]
    return any(sample.value for samples in said for sample in samples)


def _samples(api: Api, asset: str, start_ns: int, end_ns: int, only: Sequence[str] = ()) -> dict[str, list[Sample]]:
    """Return samples by what the source calls their signal."""
    signals = api.get(f"assets/{quote(asset)}")["signals"]
    labels = {signal["name"]: signal["label"] or signal["name"] for signal in signals}
    query: list[tuple[str, str | int]] = [("asset", asset), ("start", iso(start_ns)), ("end", iso(end_ns))]
    query += [("format", "parquet"), *(("signal", name) for name in only or labels)]
    file = io.BytesIO()
    api.save("telemetry/export", query, file.write)
    table = pq.read_table(file)
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in ("signal", *_TYPES, "quality", "status")}
    times = table["time"].cast(pa.int64()).to_pylist()
    found: dict[str, list[Sample]] = {}
    for index, time_ns in enumerate(times):
        value = next((v for name in _TYPES if (v := columns[name][index]) is not None), None)
        status = columns["status"][index] or 0
        found.setdefault(labels[columns["signal"][index]], []).append(
            Sample(time_ns, value, columns["quality"][index], status)
        )
    return found
