"""Names of others in store, API and export: each has values of its own."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cloud.parts import Parts
from cloud.registry.announcement import AnnouncedSignal, Announcement
from cloud.registry.learn import learn
from cloud.telemetry.store import Query, Store
from contract.identity import Ids
from contract.topics import Node

T = 1_795_420_800_000_000_000
NODE = Node("Werk 1", "Linie 1")
HARD = [
    "温度",
    "压力",
    "Druck 1 [bar]",
    "Druck 1 (bar)",
    "Druck_1_bar_",
    "Größe",
    unicodedata.normalize("NFD", "Größe"),
    "größe",
    "speed",
    "Speed",
    "SPEED",
    "speed ",
    "speed.quality",
    "speed_quality",
    "speed.status",
    "🦾",
    "🦿",
    f"{'long' * 40}1",
    f"{'long' * 40}2",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_examples = count()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(TEXT, st.sampled_from(HARD)), min_size=1, max_size=20, unique=True))
def test_distinct_names_are_distinct_in_the_store(store: Store, names: list[str]) -> None:
    ids, node = Ids(), Node(f"example {next(_examples)}", "n")
    devices = {name: ids.asset(node, name.replace("/", "∕")) for name in names}
    signals = ids.signals(node, "d", names)
    first = f"k{node.group.split()[1]}"
    lines = [f"{first},asset={first}-{asset} x={n} {T}" for n, asset in enumerate(dict.fromkeys(devices.values()))]
    lines += [f"{first},asset={first} {signal}={n} {T}" for n, signal in enumerate(signals.values())]
    store.write("\n".join(lines).encode())
    found = store.samples(Query(first, tuple(signals.values()), T, T + 1), 1000)
    assert sorted(found["value"].to_pylist()) == list(range(len(names)))
    last = store.last([f"{first}-{asset}" for asset in devices.values()])
    assert sorted(last["value"].to_pylist()) == list(range(len(set(devices.values()))))


@pytest.fixture
def announced(parts: Parts, client: TestClient, announce: Callable[..., Announcement]) -> dict[str, str]:
    """Return the signals of a machine with hard names, by name; each has its number in the list as its value."""
    ids = Ids()
    signals = dict(ids.signals(NODE, "铣床1", HARD))
    said = announce("xichuang1").model_copy(
        update={
            "label": "铣床1",
            "names": {},
            "signals": [AnnouncedSignal(name=signals[name], label=name[:256]) for name in HARD],
        }
    )
    with parts.sessions.begin() as db:
        learn(db, said)
    return signals


def test_distinct_names_are_distinct_in_api_and_export(
    viewer: TestClient, write: Callable[[str], None], announced: dict[str, str]
) -> None:
    write("\n".join(f"cnc,asset=xichuang1 {announced[name]}={n} {T}" for n, name in enumerate(HARD)))
    query = {
        "asset": "xichuang1",
        "signal": list(announced.values()),
        "start": "2026-11-23T00:00:00Z",
        "end": "2026-11-24T00:00:00Z",
    }
    series = viewer.get("/api/v1/telemetry/history", params=query).json()["series"]
    assert {each["signal"]: each["value"] for each in series} == {announced[name]: [n] for n, name in enumerate(HARD)}
    text = viewer.get("/api/v1/telemetry/export", params=query | {"format": "csv"}).text
    rows = {row["signal"]: float(row["value"]) for row in csv.DictReader(io.StringIO(text))}
    assert rows == {announced[name]: float(n) for n, name in enumerate(HARD)}


def test_the_registry_says_what_the_source_calls_it(
    viewer: TestClient, parts: Parts, announce: Callable[..., Announcement], announced: dict[str, str]
) -> None:
    detail = viewer.get("/api/v1/assets/xichuang1").json()
    assert detail["label"] == "铣床1"
    assert {signal["name"]: signal["label"] for signal in detail["signals"]} == {announced[n]: n[:256] for n in HARD}
    assert viewer.get("/api/v1/assets/cnc-01").json()["label"] == ""
    with parts.sessions.begin() as db:
        learn(db, announce("xichuang1").model_copy(update={"label": "Fräse"}))
    assert {asset["label"] for asset in viewer.get("/api/v1/assets").json()} == {"", "Fräse"}
