"""The kinds of faults. Each harms the plant, waits, and has healed what it harmed when it returns."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from edge import health
from shopfloor.chaos.odd import OnMqtt, OnMtconnect, OnNumbers, OnOpcua, OnSparkplug, Row
from shopfloor.chaos.plant import DIRECT, FAKETIME, FOREIGN, MTCONNECT, OPCUA, RECORDED, SOURCES, ChaosPlant
from shopfloor.chaos.poison import messages
from shopfloor.chaos.proxy import Link, StoreMode

BURST: Final = 10
ODD_AT_ONCE: Final = 8
SESSION_S: Final = 6.0
"""A session that was stalled may deliver what was held back and be given up only then, by its own time-out."""
BEFORE_S: Final = 1.0
NOBODY: Final[frozenset[str]] = frozenset()
READER_OF: Final[Mapping[str, frozenset[str]]] = {
    "broker": DIRECT | FOREIGN,
    "gateway": FOREIGN,
    "cloud": NOBODY,
    "edge": DIRECT,
    "simulators": RECORDED | FOREIGN | {"robot-01"},
}
"""Whose samples nothing can take while a process is away: those machines cannot wait, and keep no record."""
RECORDED_FOR: Final[Mapping[str, frozenset[str]]] = {"edge": RECORDED}
"""Whose samples a process reads from the machine's own record when it is back."""


class Harm(NamedTuple):
    """What was done, to which sources it may cost samples, how long before it and how long after their return.

    `before_s` less than 0: it costs nothing in its first seconds. `moved`: sources of which it may cost the times of
    samples, and no sample.
    """

    detail: str
    sources: frozenset[str]
    before_s: float = BEFORE_S
    after_s: float = 0.5
    moved: frozenset[str] = NOBODY


Fault = Callable[[ChaosPlant, random.Random, float], Awaitable[Harm]]


async def kill(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """SIGKILL to one process; the supervisor starts it again."""
    name = dice.choice(sorted(READER_OF))
    await asyncio.sleep(dice.uniform(0, 0.5))
    plant.kill(name)
    return Harm(name, READER_OF[name], moved=RECORDED_FOR.get(name, NOBODY))


async def stop(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """SIGSTOP to one process, SIGCONT after a while."""
    name = dice.choice(sorted(READER_OF))
    plant.signal(name, signal.SIGSTOP)
    try:
        await asyncio.sleep(hold_s)
    finally:
        plant.signal(name, signal.SIGCONT)
    return Harm(name, READER_OF[name], moved=RECORDED_FOR.get(name, NOBODY))


async def broker_wiped(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """Kill the broker and delete all that it keeps before it starts again."""
    plant.kill("broker", plant.wipe_broker)
    return Harm("", READER_OF["broker"])


async def store_down(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The store's port answers nobody."""
    return await _store(plant, "down", hold_s)


async def store_error(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The store answers 401, 429 or 500."""
    plant.store_line.status = dice.choice((401, 429, 500))
    harm = await _store(plant, "error", hold_s)
    return harm._replace(detail=str(plant.store_line.status))


async def store_timeout(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The store commits and does not answer."""
    return await _store(plant, "after_commit", hold_s + 3)


async def _store(plant: ChaosPlant, mode: StoreMode, hold_s: float) -> Harm:
    plant.store_line.mode = mode
    try:
        await asyncio.sleep(hold_s)
    finally:
        plant.store_line.mode = "pass"
    return Harm("", NOBODY)


async def link_stall(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The line of the edge or of the gateway to the broker takes bytes and delivers none."""
    name, link, sources = _uplink(plant, dice)
    link.stall()
    return await _broken(link, hold_s, Harm(name, sources))


async def link_cut(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The line of the edge or of the gateway to the broker ends in the middle of a frame and stays away."""
    name, link, sources = _uplink(plant, dice)
    link.cut()
    return await _broken(link, hold_s, Harm(name, sources))


async def machine_cut(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The line between the edge and OPC UA or MTConnect machines stalls or ends in the middle of a frame."""
    name, link, machines = dice.choice(
        (("OPC UA", plant.opcua_link, OPCUA), ("MTConnect", plant.mtconnect_link, MTCONNECT))
    )
    how = dice.choice(("stall", "cut"))
    link.stall() if how == "stall" else link.cut()
    return await _broken(link, hold_s, Harm(f"{name} {how}", NOBODY, after_s=SESSION_S, moved=machines))


def _uplink(plant: ChaosPlant, dice: random.Random) -> tuple[str, Link, frozenset[str]]:
    if dice.random() < 0.5:
        return "edge", plant.edge_link, NOBODY
    return "gateway", plant.gateway_link, FOREIGN


async def _broken(link: Link, hold_s: float, harm: Harm) -> Harm:
    try:
        await asyncio.sleep(hold_s)
    finally:
        link.heal()
    return harm


async def disk_full(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """Another file takes all of the gateway's disk, and then goes."""
    other = plant.home.path / "gateway" / "other"
    try:
        await asyncio.to_thread(_fill, other)
        await asyncio.sleep(hold_s)
    finally:
        other.unlink(missing_ok=True)
    return Harm("gateway", FOREIGN)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65536, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


async def burst(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """A machine sends ten times as much."""
    plant.press.factor = BURST
    try:
        await asyncio.sleep(hold_s)
    finally:
        plant.press.factor = 1
    return Harm("", NOBODY)


async def poison(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """Messages that are broken in every way, to the edge and to the gateway."""
    password = plant.home.secret("mqtt-simulator").read_text()
    count = await asyncio.to_thread(messages, plant.demo.mqtt_port, password, plant.press.publish, dice)
    return Harm(f"{count} messages", NOBODY)


async def clock_jump(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The wall clock of the gateway or of the edge jumps by an hour, and back."""
    name = dice.choice(("gateway", "edge"))
    offset_s = dice.choice((-3600, 3600))
    plant.set_clock(name, offset_s)
    try:
        await asyncio.sleep(hold_s + 1)
    finally:
        plant.set_clock(name, 0)
        await asyncio.sleep(1)
    return Harm(f"{name} {offset_s:+d} s", NOBODY, moved=RECORDED | DIRECT if name == "edge" else NOBODY)


async def spool_damaged(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The spool of the gateway or of the edge loses its tail or has a wrong bit when its process starts again."""
    name = dice.choice(("gateway", "edge"))
    path = dice.choice(plant.spools(name))
    seed = dice.random()
    plant.kill(name, lambda: _damage(path, random.Random(seed)))  # noqa: S311 - no secret
    # what the gateway had acknowledged and not forwarded yet may have been in the damaged part
    return Harm(path.name, SOURCES if name == "gateway" else RECORDED | DIRECT, before_s=2.0)


def _damage(path: Path, dice: random.Random) -> None:
    parts = [part for part in (path, path.with_name(f"{path.name}-wal")) if part.exists() and part.stat().st_size]
    part = dice.choice(parts)
    data = bytearray(part.read_bytes())
    if dice.random() < 0.5:
        del data[len(data) - dice.randrange(1, min(len(data), 8192)) :]
    else:
        for _ in range(8):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    part.write_bytes(data)


async def world_mqtt(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """Devices send what no message should be."""
    return await _odd(plant, dice, OnMqtt)


async def world_opcua(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """An OPC UA server says texts, times and values that are none."""
    return await _odd(plant, dice, OnOpcua)


async def world_mtconnect(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """An MTConnect agent dates what it observes as no clock does."""
    return await _odd(plant, dice, OnMtconnect)


async def world_sparkplug(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """Edge nodes of others are born, and send what others send."""
    return await _odd(plant, dice, OnSparkplug)


async def _odd(plant: ChaosPlant, dice: random.Random, sort: type[Row], at_once: int = ODD_AT_ONCE) -> Harm:
    rows = plant.world.draw(sort, at_once, dice)
    for row in rows:
        await plant.world.say(row)
    return Harm(", ".join(row.name for row in rows), NOBODY)


async def world_restart(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The edge or the gateway dies and starts again, and is told what it knows: retained messages, values that hold.

    The edge has told its health before, as what it has only counted dies with it; what must be kept is in the spool.
    """
    name = dice.choice(("edge", "gateway"))
    if name == "edge":
        await asyncio.sleep(2 * health.PERIOD_S)
    plant.kill(name)
    return Harm(name, READER_OF[name], moved=RECORDED_FOR.get(name, NOBODY))


async def world_forged(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """Somebody sends in the name of an edge node, under numbers that were acknowledged or come next."""
    return await _odd(plant, dice, OnNumbers, at_once=1)


async def world_put_back(plant: ChaosPlant, dice: random.Random, hold_s: float) -> Harm:
    """The state folder of the edge is put back to an earlier copy, after the edge has sent on and told its health."""
    await plant.copy_edge()
    sent_on_s = hold_s + 2 * health.PERIOD_S
    await asyncio.sleep(sent_on_s)
    plant.put_back()
    # what was read and not sent is lost with the folder that was replaced, and nothing of before
    return Harm("", RECORDED | DIRECT, before_s=BEFORE_S - sent_on_s)


def _named(*faults: Fault) -> dict[str, Fault]:
    return {fault.__name__.replace("_", "-"): fault for fault in faults}


WORLD: Final[Mapping[str, Fault]] = _named(
    world_mqtt, world_opcua, world_mtconnect, world_sparkplug, world_forged, world_put_back, world_restart
)
"""Nothing is harmed but by odd inputs, which may harm nothing else."""

KINDS: Final[Mapping[str, Fault]] = _named(
    kill, stop, broker_wiped, store_down, store_error, store_timeout, link_stall, link_cut, machine_cut,
    disk_full, burst, poison, clock_jump, spool_damaged,
)  # fmt: skip


def impossible(kind: str, plant: ChaosPlant) -> str:
    """Return why a kind cannot be done here, empty when it can."""
    if kind == "disk-full" and not plant.disk_can_be_full:
        return "mounting a small disk needs root"
    if kind == "clock-jump" and not plant.fake_time:
        return f"libfaketime is not installed ({FAKETIME})"
    return ""
