"""Ten days of a real machining center, through the whole chain: every observation is there, none is changed.

What is expected is read from the recording by a few lines of this file, apart from all that is ours.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from shopfloor.api import connect
from shopfloor.chaos.store import read_stored
from tests.edge.drivers.recorded import recording
from tests.edge.drivers.recorded.adapter import adapter
from tests.edge.drivers.recorded.agent import agent, ids_of
from tests.plant.conftest import Plant

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not recording.DAYS, reason=recording.WHY_NOT),
]

MACHINE, NODE = "mazak", "nist:shop:machining/line1"
WITHIN_S = 600.0
HEALTH = 5  # messages of an edge node's health in ten seconds
Source = Callable[[], AbstractAsyncContextManager[Any]]
Observations = dict[str, dict[int, list[float | str | None]]]
"""By key and time (µs since 1970) what was said, in order, without what is said again."""


def micros(stamp: str) -> int:
    return (datetime.fromisoformat(stamp) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def items() -> dict[str, tuple[str, str]]:
    """Return name and kind of each data item of the device, by name and by id: a key may be either."""
    found = {}
    for element in ElementTree.parse(recording.MODEL).iter():
        if element.tag.endswith("}Device") and element.get("name") == recording.DEVICE:
            for item in element.iter():
                if item.tag.endswith("}DataItem"):
                    is_number = item.get("category") == "SAMPLE" or item.get("units") or "COUNT" in item.get("type", "")
                    kind = "number" if is_number or item.get("type") == "LINE_NUMBER" else "text"
                    kind = "condition" if item.get("category") == "CONDITION" else kind
                    found[item.get("name", "")] = found[item.get("id", "")] = item.get("name", ""), kind
    return found


def expected() -> tuple[Observations, Counter[str], set[tuple[int, str, str]]]:
    """Return what was said of keys that the model has, how often keys that it has not, and the faults and warnings."""
    known, seen = items(), defaultdict[str, Any](lambda: defaultdict(list))
    unknown: Counter[str] = Counter()
    faults = set()
    for said in recording.said():
        if said.key not in known:
            unknown[said.key] += 1
            continue
        name, kind = known[said.key]
        at = micros(said.stamp)
        value: float | str | None = said.fields[0]
        if value == "UNAVAILABLE":
            value = None
        elif kind == "number":
            value = float(said.fields[0])
        elif kind == "condition":
            value = "condition"
            if said.fields[0] in ("FAULT", "WARNING"):
                faults.add((at, name, said.fields[1]))
        if value not in seen[name][at][-1:]:
            seen[name][at].append(value)
    return seen, unknown, faults


def in_state(told: dict[int, list[float | str | None]]) -> dict[str, float]:
    """Return how long (s) a machine was in each state, by the last word of each moment."""
    found: dict[str, float] = defaultdict(float)
    moments = sorted(told)
    for begin, end in pairwise(moments):
        found[str(told[begin][-1])] += (end - begin) / 1e6
    return dict(found)


@contextmanager
def serving(source: Source) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = source()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(end(context), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def end(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


SOURCES: dict[str, tuple[Source, Callable[[int], dict[str, Any]]]] = {
    "shdr": (
        lambda: adapter(recording.chunks()),
        lambda port: {"address": f"shdr://127.0.0.1:{port}", "devices_file": str(recording.MODEL)},
    ),
    "mtconnect": (
        lambda: agent(recording.MODEL, recording.DEVICE, recording.said()),
        lambda port: {"address": f"http://127.0.0.1:{port}"},
    ),
}


@pytest.mark.parametrize("driver", SOURCES)
def test_ten_days_of_a_machining_center_are_stored_to_the_last_observation(
    make_plant: Callable[[], Plant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    plant, (source, entry) = make_plant(), SOURCES[driver]
    plant.environ |= {"SHOPFLOOR_RAW_DAYS": "0", "SHOPFLOOR_EVENT_DAYS": "0"}
    for name in ("SHOPFLOOR_HOME", "SHOPFLOOR_PORT"):
        monkeypatch.setenv(name, plant.environ[name])
    wanted, unknown, faults = expected()
    with serving(source) as machine:
        mill = {"driver": driver, "device": recording.DEVICE, "kind": "cnc", "events": True, **entry(machine.port)}
        line = {"machines": {MACHINE: mill}}
        file = tmp_path / "plant.yaml"
        areas = {"machining": {"lines": {"line1": line}}}
        file.write_text(yaml.safe_dump({"enterprise": "nist", "site": "shop", "areas": areas}))
        plant.start("--no-console", "--plant", str(file))
        plant.ready()
        begun_s = time.monotonic()
        while not machine.is_told.is_set() or is_under_way():
            assert time.monotonic() - begun_s < WITHIN_S, plant.told()
        took_s = time.monotonic() - begun_s
        stored, events = read_back()
        with connect() as api:
            [told] = api.get("ledger", [("source", NODE)])["sources"]
    missing = {
        (key, at): said
        for key, moments in wanted.items()
        for at, said in moments.items()
        if len(stored.get(key, {}).get(at, [])) < len(said) or ("condition" not in said and stored[key][at] != said)
    }
    counted = sum(len(said) for moments in wanted.values() for said in moments.values())
    assert not missing, f"{len(missing)} of {counted}: {list(missing.items())[:5]} {plant.told()}"
    assert faults <= events
    assert in_state(stored["execution"]) == pytest.approx(in_state(wanted["execution"]), abs=1.0)
    assert (told["lost"], told["unexplained"], told["quarantined"]) == (0, 0, 0)
    if driver == "shdr":  # an agent leaves out what its model does not have
        refused = [each["count"] for each in told["losses"] if each["reason"] == "not_understood"]
        assert sum(refused) == unknown.total()
    print(f"\n{driver}: {counted} observations that differ, {took_s:.0f} s")  # noqa: T201 what `make slow` is for


def is_under_way() -> bool:
    """Whether anything is on its way: an edge node tells nothing more but its health, and all is stored."""
    looks = []
    with connect() as api:
        for _ in range(2):
            looks.append([(each["produced"], each["stored"]) for each in api.get("ledger")["sources"]])
            time.sleep(6)  # it tells its health each 5 s
    grown = sum(produced for produced, _ in looks[1]) - sum(produced for produced, _ in looks[0])
    return grown > HEALTH or not any(stored for _, stored in looks[1]) or any(a != b for a, b in looks[1])


def read_back() -> tuple[Observations, set[tuple[int, str, str]]]:
    names = {id_: name for name, (id_, _) in ids_of(recording.MODEL, recording.DEVICE).items() if name != id_}
    with connect() as api:
        rows = read_stored(api, [MACHINE], 1, time.time_ns())
        events = set()
        cursor: list[tuple[str, Any]] = []
        while True:
            page = api.get("events", [("limit", 1000), *cursor])
            for each in page["events"]:
                if each["state"] == "active":  # times have nine digits
                    at = micros(each["time"][:26] + "Z")
                    events.add((at, names[each["values"]["data_item"]], each["values"].get("native_code", "")))
            if not page["after"]:
                break
            cursor = [("after", page["after"])]
    found: Observations = defaultdict(lambda: defaultdict(list))
    for (_, signal), samples in rows.items():
        for time_ns, value in samples:
            found[signal][time_ns // 1000].append(value)
    return found, events
