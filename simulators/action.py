"""What can be done to a machine from outside: faults, lying sensors, bad links, commands.

Used by the truth and by scenarios.

Each takes a machine and a wish (plain data); it raises KeyError, TypeError, ValueError or Refused with what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast, get_args

from simulators.fault import LinkFault, LinkMode, SensorFault, SensorMode
from simulators.machine import SimulatedMachine


def inject(machine: SimulatedMachine, wish: Mapping[str, Any]) -> None:
    """Inject `fault` with `growth_s` and `limit`, or repair it with `clear`."""
    code = str(wish.get("fault", ""))
    if wish.get("clear"):
        if code not in machine.faults:
            raise KeyError(f"{machine.id} has no fault {code!r}; have: {', '.join(machine.faults)}")
        machine.clear(code)
        return
    growth = wish.get("growth_s")
    machine.inject(code, None, None if growth is None else float(growth), float(wish.get("limit", 1.0)))


def break_sensor(machine: SimulatedMachine, wish: Mapping[str, Any]) -> None:
    """Let the sensor of `signal` lie by `mode`, `size` and `rate_hz`; mode none repairs it."""
    name, mode = str(wish.get("signal", "")), wish.get("mode")
    if name not in {signal.name for signal in machine.signals}:
        raise KeyError(f"{machine.id} has no signal {name!r}")
    if mode == "none":
        machine.sensor_faults.pop(name, None)
        machine.hand_back()
    elif mode in get_args(SensorMode):
        size, rate = float(wish.get("size", 0.0)), float(wish.get("rate_hz", 0.1))
        machine.sensor_faults[name] = SensorFault(name, cast(SensorMode, mode), machine.time_s, size, rate)
    else:
        raise ValueError(f"mode {mode!r}; have: none, {', '.join(get_args(SensorMode))}")
    machine.record("sensor_fault", signal=name, mode=mode)


def break_link(machine: SimulatedMachine, wish: Mapping[str, Any]) -> None:
    """Disturb the communication by `mode`, `duration_s`, `probability`, `delay_s`; mode none repairs it."""
    mode = wish.get("mode")
    if mode == "none":
        machine.link_faults.clear()
    elif mode in get_args(LinkMode):
        fault = LinkFault(cast(LinkMode, mode), machine.time_s)
        fault.duration_s = float(wish.get("duration_s", fault.duration_s))
        fault.probability = float(wish.get("probability", fault.probability))
        fault.delay_s = float(wish.get("delay_s", fault.delay_s))
        machine.link_faults.append(fault)
    else:
        raise ValueError(f"mode {mode!r}; have: none, {', '.join(get_args(LinkMode))}")
    machine.record("link_fault", mode=mode)


def command(machine: SimulatedMachine, wish: Mapping[str, Any]) -> None:
    """Give the command `name` with `value`, as an operator at the machine."""
    machine.command(str(wish.get("name", "")), wish.get("value", ""))


ACTIONS: Final[Mapping[str, Callable[[SimulatedMachine, Mapping[str, Any]], None]]] = {
    "faults": inject,
    "sensor_faults": break_sensor,
    "link_faults": break_link,
    "command": command,
}
