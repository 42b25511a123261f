"""What goes on beside the samples of a chaos run: conditions come and go, blocks are asked for, signals are written.

Each write has a value of its own, so that the account of the machine says how often and when each was carried out.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx2

from shopfloor.api import Api
from shopfloor.chaos.deeds import read_said
from shopfloor.chaos.proxy import HOST
from shopfloor.errors import CommandError

MACHINES: Final = ("cnc-01", "cnc-02")
"""They have conditions, a vibration sensor and signals that can be written."""
SENSOR: Final = "spindle"
ON_REQUEST: Final = "cnc-02"
"""Its blocks are sent when somebody asks; those of the other one each."""
BLOCK_S: Final = 3.0
SIGNALS: Final = ("feed_override", "spindle_override")
FIRST: Final = 60.0
STEP: Final = 0.01
EXPIRIES_S: Final = (0.3, 1.0, 3.0, 10.0)
WRITE_S: Final = 0.4
ASK_S: Final = 3.0
CONDITION_S: Final = 2.0
_DRIFT: Final = {"signal": "cabinet_temperature", "mode": "drift", "size": 3600.0 * 60}
"""A minute of degrees in a second: soon beyond both limits of the controller."""


class Traffic:
    """Runs beside the faults: `run` until cancelled. `wished` are the ids of all commands that the cloud has taken."""

    def __init__(self, api: Callable[[], Api], truth_port: int, emitted: Path, seed: int) -> None:
        self.wished: set[str] = set()
        self.refused: Counter[str] = Counter()
        """Wishes that the cloud did not take, by why."""
        self._api = api
        self._truth = f"http://{HOST}:{truth_port}/sensor_faults"
        self._emitted = emitted
        self._dice = random.Random(seed)  # noqa: S311 - no secret

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in (self._write(), self._ask(), self._drift()):
                tasks.create_task(each)

    async def _write(self) -> None:
        places = list(itertools.product(SIGNALS, MACHINES))
        with self._api() as api:
            for n in itertools.count():
                signal, machine = places[n % len(places)]
                write = {"verb": "write", "signal": signal, "value": round(FIRST + n * STEP, 2)}
                await self._wish(api, machine, write, self._dice.choice(EXPIRIES_S))
                await asyncio.sleep(WRITE_S)

    async def _ask(self) -> None:
        with self._api() as api:
            while True:
                await asyncio.sleep(ASK_S)
                said = await asyncio.to_thread(read_said, [self._emitted])
                times = [block.start_ns for block in said.blocks if block.asset == ON_REQUEST]
                for start_ns in times[-2:-1]:  # not the newest: it may be on its way to the edge
                    ask = {"verb": "send_block", "sensor": SENSOR, "start_ns": start_ns, "end_ns": start_ns + 1}
                    await self._wish(api, ON_REQUEST, ask, self._dice.choice(EXPIRIES_S[1:]))

    async def _wish(self, api: Api, machine: str, do: dict[str, Any], expires_s: float) -> None:
        try:
            told = await asyncio.to_thread(api.post, f"assets/{machine}/commands", do | {"expires_s": expires_s})
        except CommandError as error:  # the cloud is what was harmed; it may have taken it nevertheless
            self.refused[str(error)] += 1
        else:
            self.wished.add(told["id"])

    async def _drift(self) -> None:
        """Let a sensor of each machine drift beyond its limits, and back, in turn."""
        async with httpx2.AsyncClient(timeout=2.0, trust_env=False) as client:
            for machine, wish in itertools.cycle(itertools.product(MACHINES, (_DRIFT, _DRIFT | {"mode": "none"}))):
                with suppress(httpx2.HTTPError):  # the simulators are what was harmed
                    await client.post(self._truth, json={"asset": machine} | wish)
                await asyncio.sleep(CONDITION_S)


def configure(machines: dict[str, Any]) -> None:
    """Let the machines of a plant file send their blocks: each one of a sensor, or those that somebody asks for."""
    for name in MACHINES:
        if name in machines:
            machines[name]["blocks"][SENSOR]["send_every_s"] = 0.0 if name == ON_REQUEST else 1.0
