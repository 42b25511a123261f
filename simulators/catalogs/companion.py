"""What machines show of the companion models Machine Tools 1.02, Robotics 1.01 and Machinery.

Paths are browse names without namespaces. A value is a constant, or follows from signals by a Bind; a state's path
takes the browse name of the state. Units are texts, ranges pairs. Ids are `index:number` of the models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.physics.joint import JOINTS

_MACHINE_IDENTIFICATION: Final = "2:1012"
_STOPPED: Final = ("INTERRUPTED", "FEED_HOLD", "STOPPED", "PROGRAM_STOPPED", "OPTIONAL_STOP")
_TURNING_RPM: Final = 5.0
"""Slower than this is noise of the sensor."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A value that follows from signals."""

    signals: tuple[str, ...]
    of: Callable[..., Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Facts:
    """What identifies a machine."""

    id: str
    model: str
    uri: str


@dataclass(frozen=True, slots=True)
class Companion:
    """A machine's structure: its type, values by path, parts put where the type has a placeholder, references."""

    type: str
    values: Mapping[str, Any]
    placed: Mapping[str, str] = field(default_factory=dict)
    present: tuple[str, ...] = ()
    """Optional parts without a value."""
    links: tuple[tuple[str, str, str], ...] = ()
    """References between parts: (path, reference type, path)."""


def of(kind: str, facts: Facts) -> Companion:
    """Return what a kind of machine shows; kinds without a model of their own have only the identification."""
    if kind in ("cnc", "lathe", "grinder"):
        return _machine_tool(facts)
    if kind == "robot":
        return _robot(facts)
    return Companion("", _identification(facts), {"Identification": _MACHINE_IDENTIFICATION})


def _identification(facts: Facts) -> dict[str, Any]:
    return {
        "Identification/Manufacturer": "shopfloor",
        "Identification/Model": facts.model,
        "Identification/SerialNumber": facts.id,
        "Identification/ProductInstanceUri": facts.uri,
    }


# ---- machine tools ---------------------------------------------------------------------------------------------------


def _operation_mode(mode: str) -> int:
    return {"AUTOMATIC": 1, "MANUAL_DATA_INPUT": 0, "MANUAL": 0}.get(mode, 5)


def _channel_mode(mode: str) -> int:
    return {"AUTOMATIC": 0, "MANUAL_DATA_INPUT": 1, "MANUAL": 2}.get(mode, 7)


def _channel_state(execution: str) -> int:
    return 0 if execution == "ACTIVE" else 1 if execution in _STOPPED else 2


def _program_state(execution: str, alarm: str) -> str:
    if execution == "ACTIVE":
        return "Running"
    if execution in _STOPPED:
        return "Aborted" if alarm else "Interrupted"
    return "Ended"


def _item_state(execution: str, alarm: str) -> str:
    if execution == "UNAVAILABLE":
        return "NotAvailable"
    if alarm:
        return "OutOfService"
    return "Executing" if execution == "ACTIVE" else "NotExecuting"


def _item_mode(mode: str) -> str:
    return "Processing" if mode == "AUTOMATIC" else "Setup"


def _machine_tool(facts: Facts) -> Companion:
    channel, spindle, tools = "Monitoring/Channel", "Monitoring/Spindle", "Equipment/Tools"
    values: dict[str, Any] = {
        **_identification(facts),
        "Monitoring/MachineTool/OperationMode": Bind(("mode",), _operation_mode),
        **_override("Monitoring/MachineTool/FeedOverride", "feed_override", 150.0),
        f"{channel}/Name": "Channel",
        f"{channel}/ChannelMode": Bind(("mode",), _channel_mode),
        f"{channel}/ChannelState": Bind(("execution",), _channel_state),
        **_override(f"{channel}/FeedOverride", "feed_override", 150.0),
        f"{spindle}/Name": "Spindle",
        f"{spindle}/IsRotating": Bind(("spindle_speed",), lambda rpm: abs(rpm) > _TURNING_RPM),
        f"{spindle}/IsUsedAsAxis": False,
        **_override(f"{spindle}/Override", "spindle_override", 120.0),
        "Production/ActiveProgram/Name": Bind(("program",)),
        "Production/ActiveProgram/NumberInList": 0,
        "Production/ActiveProgram/State/CurrentState": Bind(("execution", "alarm"), _program_state),
        "Production/Statistics/PartsProducedInLifetime": Bind(("part_count",)),
        "MachineryBuildingBlocks/MachineryItemState/CurrentState": Bind(("execution", "alarm"), _item_state),
        "MachineryBuildingBlocks/MachineryOperationMode/CurrentState": Bind(("mode",), _item_mode),
    }
    placed = {channel: "3:16", spindle: "3:22"}
    for number in (1, 2, 3):
        tool = f"{tools}/Tool{number}"
        placed[tool] = "3:50"
        values |= {
            f"{tool}/ControlIdentifier1": number,
            f"{tool}/ControlIdentifierInterpretation": 0,
            f"{tool}/Locked": False,
            f"{tool}/Locked/ReasonForLocking": 0,
        }
    return Companion("3:13", values, placed, (tools, "Notification/Messages", "Notification/Prognoses"))


def _override(path: str, signal: str, high: float) -> dict[str, Any]:
    return {path: Bind((signal,)), f"{path}/EngineeringUnits": "%", f"{path}/EURange": (0.0, high)}


# ---- robots ----------------------------------------------------------------------------------------------------------


def _nameplate(path: str, facts: Facts, model: str, number: str) -> dict[str, Any]:
    return {
        f"{path}/Manufacturer": "shopfloor",
        f"{path}/Model": model,
        f"{path}/ProductCode": model,
        f"{path}/SerialNumber": f"{facts.id}-{number}",
    }


def _measured(path: str, signal: str, unit: str) -> dict[str, Any]:
    return {path: Bind((signal,)), f"{path}/EngineeringUnits": unit}


def _robot(facts: Facts) -> Companion:
    arm, controller, safety = "MotionDevices/Arm", "Controllers/Controller", "SafetyStates/Safety"
    task, software, settings = f"{controller}/TaskControls/Task", f"{controller}/Software/Runtime", "ParameterSet"
    values: dict[str, Any] = {
        **_identification(facts),
        **_nameplate(arm, facts, facts.model, "arm"),
        f"{arm}/MotionDeviceCategory": 1,
        f"{arm}/{settings}/SpeedOverride": Bind(("speed_override",)),
        f"{arm}/{settings}/InControl": Bind(("execution",), lambda execution: execution == "ACTIVE"),
        **_measured(f"{arm}/FlangeLoad/Mass", "payload", "kg"),
        **_nameplate(controller, facts, f"{facts.model} controller", "controller"),
        f"{controller}/CurrentUser/Level": "operator",
        **_measured(f"{controller}/{settings}/TotalEnergyConsumption", "energy", "kWh"),
        **_measured(f"{controller}/{settings}/InputVoltage", "supply_voltage", "V"),
        **_measured(f"{controller}/{settings}/Temperature", "cabinet_temperature", "°C"),
        f"{software}/Manufacturer": "shopfloor",
        f"{software}/Model": "runtime",
        f"{software}/SoftwareRevision": "1",
        f"{task}/ComponentName": "Task",
        f"{task}/{settings}/TaskProgramName": Bind(("program",)),
        f"{task}/{settings}/TaskProgramLoaded": Bind(("program",), bool),
        f"{safety}/{settings}/OperationalMode": Bind(("mode",), lambda mode: 3 if mode == "AUTOMATIC" else 1),
        f"{safety}/{settings}/EmergencyStop": False,
        f"{safety}/{settings}/ProtectiveStop": Bind(("protective_stop",)),
    }
    placed = {
        "Identification": _MACHINE_IDENTIFICATION,
        arm: "4:1004",
        controller: "4:1003",
        safety: "4:1013",
        task: "4:1011",
        software: "1:15106",
    }
    links = [(controller, "4:4002", arm), (controller, "4:18182", safety), (task, "4:4002", arm)]
    for joint in JOINTS:
        axis, train, signal = f"{arm}/Axes/{joint.name}", f"{arm}/PowerTrains/{joint.name}", f"joint{joint.name}"
        placed |= {axis: "4:16601", train: "4:16794", f"{train}/Motor": "4:1019", f"{train}/Gear": "4:1022"}
        links += [(axis, "4:18179", train), (train, "4:18178", axis)]
        values |= {
            f"{axis}/MotionProfile": 1,
            **_measured(f"{axis}/{settings}/ActualPosition", f"{signal}_position", "°"),
            **_measured(f"{axis}/{settings}/ActualSpeed", f"{signal}_speed", "°/s"),
            **_nameplate(f"{train}/Motor", facts, "servo motor", f"motor-{joint.name}"),
            **_measured(f"{train}/Motor/{settings}/MotorTemperature", f"{signal}_temperature", "°C"),
            **_nameplate(f"{train}/Gear", facts, f"{joint.gear} reducer", f"gear-{joint.name}"),
            f"{train}/Gear/GearRatio": (round(joint.ratio), 1),
            f"{train}/Gear/GearRatio/Numerator": round(joint.ratio),
            f"{train}/Gear/GearRatio/Denominator": 1,
        }
    return Companion("4:1002", values, placed, (), tuple(links))
