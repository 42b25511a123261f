"""What is broken while it runs: the store stands still, each process is killed; nothing may be lost."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from report import check, say, until
from stack import MACHINES, Stack

SOURCES = ("simulators", "edge-machining", "edge-assembly")
"""What a machine says while one of these is away, nobody hears."""
BACKLOG_S = 30
"""What an edge had on its way when a process died is sent again by then."""


def outage(stack: Stack, store: str) -> None:
    """Stop the store; what was said meanwhile is there afterwards, every message of every machine."""
    seconds = int(os.environ.get("SHOPFLOOR_OUTAGE_S", "120"))
    begin = datetime.now(UTC) - timedelta(seconds=5)
    stack.compose("stop", store)
    say(f"{store} is stopped for {seconds} s")
    time.sleep(seconds)
    stack.compose("start", store)
    started = time.monotonic()
    until("the cloud", lambda: stack.get("health"), 90)
    stack.goes_on(MACHINES)
    end = datetime.now(UTC)

    def drained() -> bool:
        return all(stack.last_times().get(machine, "") > end.isoformat()[:23] for machine in MACHINES)

    until("the backlog", drained, 120)
    say(f"the backlog was stored {time.monotonic() - started:.1f} s after the store came back")
    whole(stack, MACHINES, begin, end)


def whole(stack: Stack, machines: Sequence[str], begin: datetime, end: datetime) -> None:
    """All messages of a time are stored, or soon will be: their numbers have no gap."""
    for machine in machines:
        missing = _missing(stack, machine, begin, end)
        deadline = time.monotonic() + BACKLOG_S
        while missing and time.monotonic() < deadline:
            time.sleep(1)
            missing = _missing(stack, machine, begin, end)
        check(not missing, f"{machine}: {len(missing)} messages are lost: {missing[:10]}")
    say(f"nothing is lost of {', '.join(machines)} from {begin:%H:%M:%S} to {end:%H:%M:%S}")


def _missing(stack: Stack, machine: str, begin: datetime, end: datetime) -> list[int]:
    numbers = set(stack.sequence(machine, begin, end))
    wanted = (end - begin).total_seconds() * 4
    check(len(numbers) > wanted, f"{machine}: {len(numbers)} messages are stored, {wanted:.0f} are too few")
    return sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)


def kill_each(stack: Stack) -> None:
    """Kill the main process of each container; it comes back, samples go on, and what our edges had is not lost."""
    begin = datetime.now(UTC)
    for service in [each for each in stack.served() if each not in SOURCES]:
        kill(stack, service)
    time.sleep(5)
    # the robot's own messages go through the broker before any edge has them
    whole(stack, ["cnc-01", "cnc-02"], begin, datetime.now(UTC) - timedelta(seconds=3))
    for service in SOURCES:
        kill(stack, service)
    until("health of all", lambda: not stack.unhealthy(), 180, 2)
    say("all healthy again")


def kill(stack: Stack, service: str) -> None:
    container = stack.container(service)
    before, started = stack.state(container)["StartedAt"], time.monotonic()
    stack.kill(service)
    until(f"{service} again", lambda: stack.state(container)["StartedAt"] != before, 60, 0.2)
    until("the cloud", lambda: stack.get("health"), 120, 0.2)
    stack.goes_on(MACHINES, 120)
    say(f"killed {service}: new samples of all machines are stored after {time.monotonic() - started:.1f} s")
