"""The menu of `shopfloor fault`: what is broken now, what can be broken, what it does, and what to type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shopfloor.errors import needing
from shopfloor.output import out, table

MOST_MACHINES: Final = 20
"""With more machines only those are listed that have a fault or an alarm."""
MOST_SIGNALS: Final = 3

WAITS: Final = {
    "spindle_bearing_outer": "up to 3 minutes: it shows while the spindle turns fast",
    "spindle_bearing_inner": "up to 5 minutes: it shows while the spindle turns fast",
    "spindle_lubrication_loss": "3 minutes on a milling center, 16 minutes on a lathe: the bearings must get hot",
    "tool_holder_imbalance": "up to 4 minutes: tool 3 must come into the spindle",
    "guide_lubrication": "up to 5 minutes",
    "screw_misalignment": "up to 10 minutes: the screw must get hot",
    "tool_flank_wear": "up to 3 minutes: tool 2 or 3 must cut",
    "tool_breakage": "up to 3 minutes: tool 2 must cut",
    "chip_jam": "up to 3 minutes: tool 2 must cut",
    "chatter": "up to 3 minutes: tool 2 must cut",
    "coolant_filter": "up to 2 minutes: the pump must run",
    "encoder_cable": "up to 3 minutes: the axis must come to the pose where the cable bends",
    "hydraulic_leak": "up to 2 minutes",
    "brake": "up to 2 minutes: it fails at the brake test",
    "intake_filter": "up to 10 minutes: the outlet must get hot",
}
"""How long after `inject` with its usual growth the alarm comes, in minutes of a factory at the speed of a clock.

Only of faults that take more than a minute.
"""

Row = Mapping[str, Any]


def show_now(machines: Mapping[str, Row]) -> None:
    """Print the machines with their state, alarm and faults as a table."""
    rows = [_now(name, machine) for name, machine in machines.items()]
    ill = [row for row in rows if row[3] or row[4]]
    out.print(f"{len(rows)} simulated machines, {len(ill) or 'none'} with a fault or an alarm", markup=False)
    shown = rows if len(rows) <= MOST_MACHINES else ill
    if shown:
        table(("machine", "kind", "state", "alarm", "faults now"), shown)


def _now(name: str, machine: Row) -> tuple[str, str, str, str, str]:
    faults = [f"{code} ({fault['stage']}, {fault['severity']:.2f})" for code, fault in machine["faults"].items()]
    faults += [f"{kind} (sensor of {signal})" for signal, kind in machine["sensor_faults"].items()]
    faults += [f"{kind} (link)" for kind in machine["link_faults"]]
    values = machine["values"]
    return (name, machine["kind"], str(values.get("execution", "")), str(values.get("alarm", "")), ", ".join(faults))


def show(machines: Mapping[str, Sequence[str]], modes: Mapping[str, Sequence[Row]]) -> None:
    """Print the faults of each kind with its machines, and how all of this is used."""
    for kind, names in machines.items():
        if not modes[kind]:
            continue
        more = f" (also {', '.join(names[1:4])}{', …' if len(names) > 4 else ''})" if len(names) > 1 else ""
        out.print(f"\n{kind}: {names[0]}{more}", markup=False, style="bold")
        for mode in modes[kind]:
            out.print(f"  shopfloor fault inject {names[0]} {mode['fault']}", markup=False)
            out.print(f"      {mode['does']}", markup=False)
            out.print(f"      {_look(mode)}", markup=False, style="dim")
    first = machines.get("cnc", next(iter(machines.values())))[0]
    out.print(
        f"""
how bad    --severity 0.3 is developing, 0.7 severe, 1 failed (the default); --growth 600: in 600 simulated seconds
a sensor   shopfloor fault inject {first} drift --signal power --size 5     (stuck, spike, drift, dropout)
the link   shopfloor fault inject {first} silent --seconds 10     (silent, loss, delay, duplicate)
repair     shopfloor fault clear {first}     renews what is worn, resets the alarm; the machine runs on
operator   shopfloor fault reset {first}     resets the alarm alone: it comes back while the fault is there""",
        markup=False,
    )


def _look(mode: Row) -> str:
    """Return what to look at, and how it ends."""
    signals = ", ".join(mode["signals"][:MOST_SIGNALS])
    test = f" ({mode['evidence']})" if mode["evidence"] else ""
    wait = f" (after {WAITS[mode['fault']]})" if mode["fault"] in WAITS else ""
    end = (
        f"in the end it stops: {mode['alarm']}{wait}"
        if mode["alarm"]
        else "its controller does not see it, and goes on"
    )
    return f"look at {signals}{test}; {end}"


def show_shipped() -> None:
    """Print what can be broken in a factory, when none runs: the faults of each kind, in short."""
    out.print("In a simulated factory these can be broken, and `shopfloor fault` says how:", markup=False)
    for kind, modes in shipped().items():
        if modes:
            out.print(f"  {kind}: {', '.join(mode['fault'] for mode in modes)}", markup=False)


def shipped() -> dict[str, list[Row]]:
    """Return the faults of each kind that the simulators have; raise ConfigurationError when they are not installed."""
    with needing("the simulators need", "pip install 'shopfloor[simulators]'"):
        from simulators import machines  # noqa: PLC0415 - an extra: other commands do without it
    return {
        kind: [fault.mode.facts() for fault in machines.load(kind)("m").faults.values()] for kind in machines.kinds()
    }
