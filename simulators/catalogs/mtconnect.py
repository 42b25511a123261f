"""How MTConnect names what machines show: data items (version 2.0) with their components, and limits of controllers.

A signal's data item follows from its name, or else from its unit and place, so that a machine that nobody has thought
of here has data items too. Where the standard has no type, the item is an event VARIABLE with the signal's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from simulators.machine import Signal, SimulatedMachine

Category = Literal["SAMPLE", "EVENT", "CONDITION"]
Level = tuple[str, str]
"""A component: its element and its name."""

UNAVAILABLE: Final = "UNAVAILABLE"
_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class DataItem:
    """A data item of one device.

    `units` is the standard's unit, `native_units` the machine's (x:… where the standard has none), `factor` turns the
    second into the first. `words` are the standard's for an event's values; a value without one is UNAVAILABLE.
    """

    id: str
    name: str
    category: Category
    type: str
    component: tuple[Level, ...] = ()
    sub_type: str = ""
    statistic: str = ""
    units: str = ""
    native_units: str = ""
    factor: float = 1.0
    words: Mapping[object, str] | None = None

    @property
    def element(self) -> str:
        """The name of its element in a stream: ROTARY_VELOCITY is RotaryVelocity, AMPERAGE_DC is AmperageDC."""
        return "".join(word if word in ("AC", "DC", "PH") else word.capitalize() for word in self.type.split("_"))


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit at which a controller warns, and one at which it reports a fault, above (HIGH) or below (LOW)."""

    signal: str
    warning: float
    fault: float

    @property
    def qualifier(self) -> Literal["HIGH", "LOW"]:
        """HIGH or LOW."""
        return "HIGH" if self.fault > self.warning else "LOW"


@dataclass(frozen=True, slots=True)
class _Rule:
    category: Category
    type: str
    sub_type: str = ""
    units: str = ""
    native_units: str = ""
    factor: float = 1.0
    statistic: str = ""
    words: Mapping[object, str] | None = None


def _same(*words: str) -> Mapping[object, str]:
    return {word: word for word in words}


_POSITION: Final = _Rule("SAMPLE", "POSITION", "ACTUAL", "MILLIMETER", "MILLIMETER")
_VARIABLE: Final = _Rule("EVENT", "VARIABLE")
_OPEN: Final[Mapping[object, str]] = {True: "OPEN", False: "CLOSED"}
_PERCENT: Final = ("PERCENT", "PERCENT")
_EXECUTION: Final = _same("READY", "ACTIVE", "INTERRUPTED", "FEED_HOLD", "STOPPED", "PROGRAM_COMPLETED", "WAIT")
_MODE: Final = _same("AUTOMATIC", "MANUAL", "MANUAL_DATA_INPUT", "SEMI_AUTOMATIC", "EDIT")

_BY_NAME: Final[Mapping[str, _Rule]] = {
    "execution": _Rule("EVENT", "EXECUTION", words=_EXECUTION),
    "mode": _Rule("EVENT", "CONTROLLER_MODE", words=_MODE),
    "program": _Rule("EVENT", "PROGRAM"),
    "block": _Rule("EVENT", "LINE_NUMBER", "ABSOLUTE"),
    "step": _Rule("EVENT", "LINE_NUMBER", "INCREMENTAL"),
    "tool_number": _Rule("EVENT", "TOOL_NUMBER"),
    "part_count": _Rule("EVENT", "PART_COUNT", "ALL"),
    "measured_count": _Rule("EVENT", "PART_COUNT", "ALL"),
    "scrap_count": _Rule("EVENT", "PART_COUNT", "BAD"),
    "cycle_count": _Rule("EVENT", "CYCLE_COUNT"),
    "load_cycles": _Rule("EVENT", "CYCLE_COUNT"),
    "trips": _Rule("EVENT", "TRANSFER_COUNT"),
    "part": _Rule("EVENT", "PART_UNIQUE_ID"),
    "verdict": _Rule("EVENT", "PART_STATUS", words={"good": "PASS", "scrap": "FAIL"}),
    "alarm": _Rule("CONDITION", "SYSTEM"),
    "door_open": _Rule("EVENT", "DOOR_STATE", words=_OPEN),
    "gripper_closed": _Rule("EVENT", "CHUCK_STATE", words={True: "CLOSED", False: "OPEN"}),
    "charging": _Rule("EVENT", "ACTUATOR_STATE", words={True: "ACTIVE", False: "INACTIVE"}),
    "feed_override": _Rule("EVENT", "PATH_FEEDRATE_OVERRIDE", "PROGRAMMED", *_PERCENT),
    "speed_override": _Rule("EVENT", "PATH_FEEDRATE_OVERRIDE", "PROGRAMMED", *_PERCENT),
    "spindle_override": _Rule("EVENT", "ROTARY_VELOCITY_OVERRIDE", "", *_PERCENT),
    "spindle_load": _Rule("SAMPLE", "LOAD", "", *_PERCENT),
    "cycle_time": _Rule("SAMPLE", "PROCESS_TIMER", "PROCESS", "SECOND", "SECOND"),
    "power_factor": _Rule("SAMPLE", "POWER_FACTOR", "", "PERCENT", "x:RATIO", 100.0),
    "vibration_velocity": _Rule(
        "SAMPLE", "VELOCITY", "", "MILLIMETER/SECOND", "MILLIMETER/SECOND", statistic="ROOT_MEAN_SQUARE"
    ),
    "vibration_acceleration": _Rule(
        "SAMPLE", "ACCELERATION", "", "MILLIMETER/SECOND^2", "x:METER_PER_SECOND_2", 1000.0, "ROOT_MEAN_SQUARE"
    ),
    "energy_exported": _Rule("SAMPLE", "ELECTRICAL_ENERGY", "", "WATT_SECOND", "KILOWATT_HOUR", 3.6e6),
    "x_position": _POSITION,
    "y_position": _POSITION,
    "z_position": _POSITION,
}

_BY_UNIT: Final[Mapping[str, _Rule]] = {
    "°C": _Rule("SAMPLE", "TEMPERATURE", "", "CELSIUS", "CELSIUS"),
    "mm": _Rule("SAMPLE", "DISPLACEMENT", "", "MILLIMETER", "MILLIMETER"),
    "µm": _Rule("SAMPLE", "DISPLACEMENT", "", "MILLIMETER", "x:MICROMETER", 1e-3),
    "m": _Rule("SAMPLE", "POSITION", "ACTUAL", "MILLIMETER", "x:METER", 1000.0),
    "mm/s": _Rule("SAMPLE", "VELOCITY", "", "MILLIMETER/SECOND", "MILLIMETER/SECOND"),
    "m/s": _Rule("SAMPLE", "VELOCITY", "", "MILLIMETER/SECOND", "x:METER_PER_SECOND", 1000.0),
    "mm/min": _Rule("SAMPLE", "PATH_FEEDRATE", "ACTUAL", "MILLIMETER/SECOND", "MILLIMETER/MINUTE", 1.0 / 60.0),
    "m/s²": _Rule("SAMPLE", "ACCELERATION", "", "MILLIMETER/SECOND^2", "x:METER_PER_SECOND_2", 1000.0),
    "rpm": _Rule("SAMPLE", "ROTARY_VELOCITY", "ACTUAL", "REVOLUTION/MINUTE", "REVOLUTION/MINUTE"),
    "°": _Rule("SAMPLE", "ANGLE", "ACTUAL", "DEGREE", "DEGREE"),
    "°/s": _Rule("SAMPLE", "ANGULAR_VELOCITY", "", "DEGREE/SECOND", "DEGREE/SECOND"),
    "%": _Rule("SAMPLE", "FILL_LEVEL", "", *_PERCENT),
    "A": _Rule("SAMPLE", "AMPERAGE_DC", "", "AMPERE", "AMPERE"),
    "V": _Rule("SAMPLE", "VOLTAGE_DC", "", "VOLT", "VOLT"),
    "kW": _Rule("SAMPLE", "WATTAGE", "", "WATT", "KILOWATT", 1000.0),
    "kWh": _Rule("SAMPLE", "ELECTRICAL_ENERGY", "", "WATT_SECOND", "KILOWATT_HOUR", 3.6e6),
    "kvar": _Rule("SAMPLE", "VOLT_AMPERE_REACTIVE", "", "VOLT_AMPERE_REACTIVE", "x:KILOVAR", 1000.0),
    "Hz": _Rule("SAMPLE", "FREQUENCY", "", "HERTZ", "HERTZ"),
    "N·m": _Rule("SAMPLE", "TORQUE", "", "NEWTON_METER", "NEWTON_METER"),
    "kN": _Rule("SAMPLE", "LINEAR_FORCE", "", "NEWTON", "x:KILONEWTON", 1000.0),
    "kg": _Rule("SAMPLE", "MASS", "", "KILOGRAM", "KILOGRAM"),
    "s": _Rule("SAMPLE", "EQUIPMENT_TIMER", "", "SECOND", "SECOND"),
    "bar": _Rule("SAMPLE", "PRESSURE", "", "PASCAL", "BAR", 1e5),
    "kPa": _Rule("SAMPLE", "PRESSURE", "", "PASCAL", "x:KILOPASCAL", 1000.0),
    "l/min": _Rule("SAMPLE", "FLOW", "", "LITER/SECOND", "LITER/MINUTE", 1.0 / 60.0),
    "m³/h": _Rule("SAMPLE", "FLOW", "", "LITER/SECOND", "x:CUBIC_METER_PER_HOUR", 1.0 / 3.6),
}
_ALTERNATING: Final[Mapping[str, _Rule]] = {
    "A": _Rule("SAMPLE", "AMPERAGE_AC", "", "AMPERE", "AMPERE"),
    "V": _Rule("SAMPLE", "VOLTAGE_AC", "", "VOLT", "VOLT"),
}
_OTHERWISE: Final = {("x_position", "m"), ("y_position", "m")}
"""Signals of vehicles that are called like those of machine tools."""
_ON_THE_GRID: Final = ("Phases", "Cabinet")

_SYSTEMS: Final[Level] = ("Systems", "systems")
_AUXILIARIES: Final[Level] = ("Auxiliaries", "auxiliaries")
_ELECTRIC: Final = (_SYSTEMS, ("Electric", "electric"))
_PATH: Final = (("Controller", "controller"), ("Path", "path"))
_AXES: Final[Level] = ("Axes", "axes")
_PLACES: Final[Mapping[str, tuple[Level, ...]]] = {
    "Controller": _PATH,
    "Vehicle": _PATH,
    "Spindle": (_AXES, ("Rotary", "S")),
    "Axes": (_AXES,),
    "Joints": (_AXES,),
    "Coolant": (_SYSTEMS, ("Coolant", "coolant")),
    "Lubrication": (_SYSTEMS, ("Lubrication", "lubrication")),
    "Hydraulics": (_SYSTEMS, ("Hydraulic", "hydraulic")),
    "Air": (_SYSTEMS, ("Pneumatic", "pneumatic")),
    "Supply": (_SYSTEMS, ("Pneumatic", "pneumatic")),
    "Cabinet": (_SYSTEMS, ("Enclosure", "cabinet")),
    "Tool": (_SYSTEMS, ("EndEffector", "tool")),
    "Safety": (_SYSTEMS, ("Protective", "safety")),
    "Energy": _ELECTRIC,
    "Grid": _ELECTRIC,
    "Battery": _ELECTRIC,
    "State": _ELECTRIC,
    "Phases": _ELECTRIC,
    "Room": (_AUXILIARIES, ("Environmental", "room")),
    "Sun": (_AUXILIARIES, ("Environmental", "sun")),
    "Result": (("Parts", "parts"), ("Part", "result")),
}
_BELOW: Final[Mapping[str, tuple[str, str]]] = {
    "Axes": ("Linear", ""),
    "Joints": ("Rotary", "J"),
    "Phases": ("Sensor", ""),
}

LIMITS: Final = (
    Limit("spindle_front_temperature", 65.0, 80.0),
    Limit("spindle_rear_temperature", 65.0, 80.0),
    Limit("spindle_motor_temperature", 110.0, 130.0),
    Limit("x_motor_temperature", 85.0, 100.0),
    Limit("y_motor_temperature", 85.0, 100.0),
    Limit("z_motor_temperature", 85.0, 100.0),
    Limit("drawbar_force", 14.0, 10.0),
    Limit("coolant_level", 20.0, 10.0),
    Limit("coolant_temperature", 40.0, 50.0),
    Limit("hydraulic_pressure", 45.0, 35.0),
    Limit("cabinet_temperature", 50.0, 60.0),
    Limit("vibration_velocity", 7.1, 11.0),
    *(Limit(f"joint{joint}_temperature", 75.0, 90.0) for joint in range(1, 7)),
    Limit("motor_temperature", 85.0, 100.0),
    Limit("battery_charge", 15.0, 5.0),
    Limit("outlet_temperature", 105.0, 115.0),
    Limit("air_pressure", 5.0, 4.5),
    Limit("temperature", 45.0, 55.0),
    Limit("module_temperature", 75.0, 85.0),
)
"""What controllers warn of, in the units of the signals: what sensors say, never what is truly so."""


def token(text: str) -> str:
    """Return `text` as an XML id: what it may not hold becomes `_`."""
    clean = _NO_TOKEN.sub("_", text)
    return clean if clean[:1].isalpha() or clean[:1] == "_" else f"_{clean}"


def items_of(machine: SimulatedMachine) -> dict[str, DataItem]:
    """Return the data items of a machine by their short names: signals, then `avail`, limits, assets."""
    items = {signal.name: _item(machine, signal) for signal in machine.signals}
    own = [DataItem(_id(machine, "avail"), "avail", "EVENT", "AVAILABILITY", words=_same("AVAILABLE"))]
    for limit in limits_of(machine):
        of = items[limit.signal]
        name = condition_name(limit)
        own.append(DataItem(_id(machine, name), name, "CONDITION", of.type, of.component))
    own.append(DataItem(_id(machine, "asset_changed"), "asset_changed", "EVENT", "ASSET_CHANGED"))
    own.append(DataItem(_id(machine, "asset_removed"), "asset_removed", "EVENT", "ASSET_REMOVED"))
    return items | {item.name: item for item in own}


def limits_of(machine: SimulatedMachine) -> tuple[Limit, ...]:
    """Return the limits that the machine's controller watches."""
    names = {signal.name for signal in machine.signals}
    return tuple(limit for limit in LIMITS if limit.signal in names)


def condition_name(limit: Limit) -> str:
    """Return the name of the condition of a limit."""
    return f"{limit.signal}_cond"


def _id(machine: SimulatedMachine, name: str) -> str:
    return token(f"{machine.id}_{name}")


def _item(machine: SimulatedMachine, signal: Signal) -> DataItem:
    rule = _rule(signal)
    return DataItem(
        _id(machine, signal.name),
        signal.name,
        rule.category,
        rule.type,
        _component(signal.place),
        rule.sub_type,
        rule.statistic,
        rule.units,
        rule.native_units,
        rule.factor,
        rule.words,
    )


def _rule(signal: Signal) -> _Rule:
    by_unit = _ALTERNATING if signal.place.startswith(_ON_THE_GRID) else {}
    rule = None if (signal.name, signal.unit) in _OTHERWISE else _BY_NAME.get(signal.name)
    if rule is None and signal.datatype == "double":
        rule = by_unit.get(signal.unit) or _BY_UNIT.get(signal.unit)
    fits = rule is not None and (rule.category != "SAMPLE" or signal.datatype in ("double", "int64"))
    return rule if rule is not None and fits else _VARIABLE


def _component(place: str) -> tuple[Level, ...]:
    first, *rest = place.split("/")
    if first not in _PLACES:
        return (_AUXILIARIES, ("Sensor", token(first.lower())))
    below = _BELOW.get(first)
    if below is None or len(rest) < 2:
        return _PLACES[first]
    element, prefix = below
    return (*_PLACES[first], (element, prefix + rest[0]))
