"""The ids that an older gateway gave, which kept no table of them: the births that it noted say which they were.

It wrote `-` or `_` for all that it did not know, so several names may have had one id. Such an id is retired: what is
stored under it stays there, and each of the names gets an id of its own, but for a name that is that id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import orjson
import structlog

from contract.birth import is_signal, is_stated
from contract.identity import ASSETS, Ids, Row, levels_of, path_of, places_scope, signals_scope
from contract.sparkplug import Payload, SparkplugError, datatype_of, decode
from contract.topics import EMPTY_LEVEL, UNS, Node, uns_level
from gateway.ledger.account import Account
from gateway.mirror import CATEGORIES
from gateway.reader import INDEX, parse
from spool import Spool

_NOT_IN_SIGNAL: Final = re.compile(r"[^A-Za-z0-9_./-]+")
_IN_ONE_ENTRY: Final = 5  # names, so that their ids fit into its text
_LONGEST_NAME: Final = 48
_LONGEST: Final = 64  # the registry took no longer id of an asset

log = structlog.get_logger()

Births = Mapping[tuple[Node, str | None], Payload]


class Parted(NamedTuple):
    """Names of a node, or metrics of its asset `source`, that had one id; `now` says which each has from now on."""

    node: Node
    source: str
    before: str
    now: Mapping[str, str]

    @property
    def topics(self) -> list[str]:
        """The topics on which the mirror showed them as one asset; none for metrics."""
        if self.source:
            return []
        return ["/".join((UNS, *_old_place(self.node), self.before, category)) for category in CATEGORIES]


def open_ids(spool: Spool, account: Account, now_ns: int) -> tuple[Ids, list[str]]:
    """Return the table of ids that the spool keeps; where it has none, of the births that an older gateway noted.

    What had one id and is parted now is told to the ledger, and the topics on which it was one asset are returned.
    """
    ids = Ids.load(spool)
    if not ids.is_empty:
        return ids, []
    parted = seed(ids, _noted_births(spool))
    for each in parted:
        for said in _told(each):
            log.warning("names that had one id have ids of their own", node="/".join(each.node), detail=said)
            account.tell(each.node, "identity", now_ns, now_ns, source=each.source, outcome="noted", detail=said)
    return ids, [topic for each in parted for topic in each.topics]


def _noted_births(spool: Spool) -> dict[tuple[Node, str | None], Payload]:
    births = {}
    for topic in orjson.loads(spool.note(INDEX) or b"[]"):
        parsed = parse(topic)
        body = spool.note(topic)
        if body is not None:
            with suppress(SparkplugError):  # the reader tells of it
                births[parsed.node, parsed.device] = decode(body)
    return births


def _told(parted: Parted) -> Iterator[str]:
    """Yield what the ledger says, in texts that it takes."""
    names = sorted(parted.now.items())
    for start in range(0, len(names), _IN_ONE_ENTRY):
        pairs = names[start : start + _IN_ONE_ENTRY]
        said = ", ".join(f"{name[:_LONGEST_NAME]!r} is {id_}" for name, id_ in pairs)
        yield f"until now these were all {parted.before!r}, which keeps what was stored; from now on {said}"


def seed(ids: Ids, births: Births) -> list[Parted]:
    """Give the names in births the ids that they had, and new ones to those that had one together; return those."""
    _seed_places(ids, {node for node, _ in births})
    return [*_seed_assets(ids, births), *_seed_signals(ids, births)]


def _seed_places(ids: Ids, nodes: Iterable[Node]) -> None:
    places: dict[Node, tuple[str, ...]] = dict.fromkeys(sorted(nodes), ())
    for depth in range(4):
        claims: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for node, above in places.items():
            path, name = levels_of(node)[depth]
            if path:
                claims[above][path] = name
        for above, names in claims.items():
            before = {path: uns_level(name) for path, name in names.items()}
            _give(ids, places_scope(above), before, {path for path, name in names.items() if name == before[path]})
        for node, above in places.items():
            places[node] = *above, ids.level(above, *levels_of(node)[depth])


def _seed_assets(ids: Ids, births: Births) -> list[Parted]:
    assets = {path_of(*key): key for key in births}
    before = {path: _old_asset_id(*key) for path, key in assets.items()}
    ours = {path for path, key in assets.items() if is_stated(*key, births[key])}
    stated = {path for path in ours if assets[path][1] is not None}
    own = ours | {path for path, (_, device) in assets.items() if before[path] == device}
    together = _give(ids, ASSETS, {p: b for p, b in before.items() if 0 < len(b) <= _LONGEST}, own, stated)
    for path, (node, device) in sorted(assets.items()):
        ids.asset(node, device, stated=path in stated)
    parted = []
    for id_, paths in together.items():
        now = {path: ids.asset(*assets[path], stated=path in stated) for path in paths}
        for node in {assets[path][0] for path in paths}:
            mine = {path: new for path, new in now.items() if assets[path][0] == node}
            parted.append(Parted(node, "", id_, mine))
    return parted


def _seed_signals(ids: Ids, births: Births) -> list[Parted]:
    parted = []
    for (node, device), payload in births.items():
        names = [
            metric.name
            for metric in payload.metrics
            if metric.name is not None and is_signal(metric.name) and datatype_of(metric.datatype) is not None
        ]
        before = {name: _old_signal(name) for name in names}
        own = {name for name in names if before[name] == name}
        together = _give(ids, signals_scope(path_of(node, device)), before, own)
        now = ids.signals(node, device, names)
        for id_, parts in together.items():
            parted.append(Parted(node, ids.asset(node, device), id_, {name: now[name] for name in parts}))
    return parted


def _give(
    ids: Ids, scope: str, before: Mapping[str, str], own: set[str], stated: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Give names the ids that they had; return, by id, those that had one together and do not keep it.

    `own` are names that are their id, `stated` those for which a plant file says it.
    """
    names_of: dict[str, list[str]] = defaultdict(list)
    for name, id_ in before.items():
        names_of[id_].append(name)
    rows, together = [], {}
    for id_, names in names_of.items():
        firm = [name for name in names if name in own and name in stated]
        keeps = names if len(names) == 1 else firm or [name for name in names if name in own]
        # one machine of ours may have been announced by several lines, one after the other
        if keeps != firm and len(keeps) > 1:
            keeps = []
        rows += [Row(scope, name, id_, name in stated) for name in keeps] or [Row(scope, None, id_)]
        if rest := sorted(set(names) - set(keeps)):
            together[id_] = rest
    ids.seed(rows)
    return together


def _old_asset_id(node: Node, device: str | None) -> str:
    if device is not None:
        return uns_level(device)
    levels = _old_place(node)
    return "-".join(level for level in levels[1:] if level != EMPTY_LEVEL)


def _old_place(node: Node) -> tuple[str, ...]:
    return tuple(uns_level(name) if path else EMPTY_LEVEL for path, name in levels_of(node))


def _old_signal(name: str) -> str:
    text = _NOT_IN_SIGNAL.sub("_", name)[:128] or "_"
    return text.removesuffix(".quality") + "_quality" if text.endswith(".quality") else text
