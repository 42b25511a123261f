"""Signals and failure modes of machine tools; row numbers are those of the fault table in the documentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from simulators.fault import FaultMode
from simulators.machine import Signal
from simulators.supervision import Trip

_FEELS_FORCE: Final = ("spindle_power", "spindle_torque", "spindle_load", "power")
_FEED: Final = ("x_current", "y_current", "x_following_error", "y_following_error")
_SHAKES: Final = ("vibration_velocity", "vibration_acceleration")

COLLISION: Final = "X AXIS OVERLOAD: COLLISION"
BREAKAGE: Final = "TOOL BREAKAGE: LOAD TOO LOW"
OVERLOAD: Final = "TOOL LOAD TOO HIGH"
UNBALANCE: Final = "SPINDLE UNBALANCE TOO HIGH"
VIBRATION: Final = "SPINDLE VIBRATION TOO HIGH"
SPINDLE_HOT: Final = "SPINDLE BEARING TOO HOT"
CHILLER: Final = "SPINDLE CHILLER FAILED"
DRAWBAR: Final = "TOOL CLAMPING FORCE TOO LOW"
LOST_MOTION: Final = "X MEASURING SYSTEMS DIFFER"
SCREW_HOT: Final = "X SCREW TOO HOT"
LUBRICATION: Final = "GUIDE LUBRICATION BLOCKED"
COOLANT: Final = "COOLANT PRESSURE TOO LOW"
HYDRAULICS: Final = "HYDRAULIC PRESSURE TOO LOW"
ENCODER: Final = "X ENCODER SIGNAL"


def _axis(axis: str, low: float, high: float) -> tuple[Signal, ...]:
    up = axis.upper()
    return (
        Signal(f"{axis}_position", f"Axes/{up}/Position", "mm", low=low, high=high, deadband=0.001, noise=0.0003),
        Signal(
            f"{axis}_current",
            f"Axes/{up}/Current",
            "A",
            low=-40,
            high=40,
            deadband=0.05,
            noise=0.04,
            description="Servo current; sign of the force",
        ),
        Signal(
            f"{axis}_following_error", f"Axes/{up}/FollowingError", "µm", low=-2000, high=2000, deadband=0.2, noise=0.15
        ),
        Signal(
            f"{axis}_motor_temperature",
            f"Axes/{up}/MotorTemperature",
            "°C",
            low=0,
            high=120,
            deadband=0.1,
            period_s=1,
            noise=0.05,
        ),
    )


SIGNALS: Final = (
    Signal("execution", "Controller/Execution", datatype="string", description="Execution state (MTConnect words)"),
    Signal("mode", "Controller/Mode", datatype="string", description="AUTOMATIC, MANUAL_DATA_INPUT or MANUAL"),
    Signal("program", "Controller/Program", datatype="string"),
    Signal("block", "Controller/Block", datatype="int64", low=0, description="Line number of the NC block"),
    Signal("tool_number", "Controller/ToolNumber", datatype="int64", low=0, high=99),
    Signal("part_count", "Controller/PartCount", datatype="int64", low=0),
    Signal(
        "cycle_time",
        "Controller/CycleTime",
        "s",
        low=0,
        high=3600,
        deadband=0.1,
        period_s=1,
        description="Duration of the last finished cycle",
    ),
    Signal("alarm", "Controller/Alarm", datatype="string", description="Active alarm, empty when there is none"),
    Signal("door_open", "Controller/DoorOpen", datatype="boolean"),
    Signal("feed_rate", "Controller/FeedRate", "mm/min", low=0, high=30000, deadband=1),
    Signal("feed_override", "Controller/FeedOverride", "%", low=0, high=150, writable=True),
    Signal("spindle_override", "Controller/SpindleOverride", "%", low=50, high=120, writable=True),
    Signal("spindle_speed", "Spindle/Speed", "rpm", low=0, high=12000, deadband=1, noise=0.6),
    Signal("spindle_load", "Spindle/Load", "%", low=0, high=150, deadband=0.2, noise=0.15),
    Signal("spindle_torque", "Spindle/Torque", "N·m", low=-20, high=140, deadband=0.05, noise=0.03),
    Signal("spindle_power", "Spindle/Power", "kW", low=-20, high=25, deadband=0.01, noise=0.008),
    Signal(
        "spindle_front_temperature",
        "Spindle/FrontBearingTemperature",
        "°C",
        low=0,
        high=120,
        deadband=0.1,
        period_s=1,
        noise=0.05,
    ),
    Signal(
        "spindle_rear_temperature",
        "Spindle/RearBearingTemperature",
        "°C",
        low=0,
        high=120,
        deadband=0.1,
        period_s=1,
        noise=0.05,
    ),
    Signal(
        "spindle_motor_temperature",
        "Spindle/MotorTemperature",
        "°C",
        low=0,
        high=160,
        deadband=0.1,
        period_s=1,
        noise=0.05,
    ),
    Signal("head_temperature", "Spindle/HeadTemperature", "°C", low=0, high=80, deadband=0.1, period_s=1, noise=0.03),
    Signal("drawbar_force", "Spindle/DrawbarForce", "kN", low=0, high=30, deadband=0.05, period_s=1, noise=0.02),
    Signal("unclamp_time", "Spindle/UnclampTime", "s", low=0, high=5, deadband=0.005, period_s=1, noise=0.002),
    Signal(
        "vibration_velocity",
        "Spindle/VibrationVelocity",
        "mm/s",
        low=0,
        high=20,
        deadband=0.01,
        noise=0.01,
        description="RMS, 10 to 1000 Hz",
    ),
    Signal(
        "vibration_acceleration",
        "Spindle/VibrationAcceleration",
        "m/s²",
        low=0,
        high=200,
        deadband=0.05,
        noise=0.03,
        description="RMS, 10 Hz to 10 kHz",
    ),
    *_axis("x", -100, 500),
    *_axis("y", -100, 400),
    *_axis("z", -100, 400),
    Signal("screw_temperature", "Axes/X/ScrewTemperature", "°C", low=0, high=80, deadband=0.1, period_s=1, noise=0.05),
    Signal("coolant_pressure", "Coolant/Pressure", "bar", low=0, high=40, deadband=0.05, noise=0.05),
    Signal("coolant_flow", "Coolant/Flow", "l/min", low=0, high=60, deadband=0.1, noise=0.1),
    Signal("coolant_temperature", "Coolant/Temperature", "°C", low=0, high=60, deadband=0.1, period_s=1, noise=0.05),
    Signal("coolant_level", "Coolant/Level", "%", low=0, high=100, deadband=0.1, period_s=1, noise=0.02),
    Signal("lubrication_pressure", "Lubrication/Pressure", "bar", low=0, high=60, deadband=0.1, noise=0.05),
    Signal("hydraulic_pressure", "Hydraulics/Pressure", "bar", low=0, high=100, deadband=0.1, noise=0.08),
    Signal("cabinet_temperature", "Cabinet/Temperature", "°C", low=0, high=70, deadband=0.1, period_s=1, noise=0.05),
    Signal(
        "ambient_temperature",
        "Cabinet/AmbientTemperature",
        "°C",
        low=-10,
        high=50,
        deadband=0.1,
        period_s=1,
        noise=0.05,
    ),
    Signal("power", "Energy/Power", "kW", low=0, high=40, deadband=0.01, noise=0.01),
    Signal("energy", "Energy/Energy", "kWh", low=0, deadband=0.001, period_s=1, description="Since the start"),
    Signal(
        "sequence",
        "Controller/Sequence",
        datatype="int64",
        low=0,
        description="Emissions since the start: a gap is a loss",
    ),
)

MODES: Final = (
    FaultMode(
        "spindle_bearing_outer",
        1,
        "spindle front bearing",
        ("vibration_acceleration", "spindle_front_temperature", "head_temperature", *_FEELS_FORCE),
        evidence="BPFO in the envelope",
        alarm=VIBRATION,
        does="The outer race of the front spindle bearing pits: it rattles, takes power and warms.",
    ),
    FaultMode(
        "spindle_bearing_inner",
        2,
        "spindle front bearing",
        ("vibration_acceleration", "spindle_front_temperature", "head_temperature", *_FEELS_FORCE),
        growth_s=7 * 86400.0,
        evidence="BPFI ± fr in the envelope",
        alarm=VIBRATION,
        does="The inner race of the front spindle bearing pits: it rattles once per turn, faster than the outer one.",
    ),
    FaultMode(
        "spindle_lubrication_loss",
        3,
        "spindle bearings",
        (
            "spindle_front_temperature",
            "spindle_rear_temperature",
            "head_temperature",
            "spindle_motor_temperature",
            *_SHAKES,
            *_FEELS_FORCE,
        ),
        evidence="high-frequency floor, kurtosis near 3",
        alarm=SPINDLE_HOT,
        does="The spindle bearings run dry: friction and heat, a broad noise without lines.",
    ),
    FaultMode(
        "tool_holder_imbalance",
        4,
        "holder of tool 3",
        _SHAKES,
        shape="step",
        evidence="1× ∝ speed², with tool 3 only",
        alarm=UNBALANCE,
        does="The holder of tool 3 is out of balance: the spindle shakes once per turn, with this tool only.",
    ),
    FaultMode(
        "drawbar_force_loss",
        5,
        "drawbar springs",
        ("drawbar_force", "unclamp_time", *_SHAKES),
        alarm=DRAWBAR,
        does="The springs of the drawbar tire: tools are clamped with less and less force.",
    ),
    FaultMode(
        "spindle_crash",
        6,
        "spindle taper",
        (*_SHAKES, "spindle_torque", "spindle_front_temperature"),
        shape="step",
        evidence="1× and 2× step",
        alarm=COLLISION,
        does="The tool hits the fixture: a blow on the X axis, then a bent spindle that shakes.",
    ),
    FaultMode(
        "screw_preload_loss",
        7,
        "X ball screw",
        ("x_following_error",),
        evidence="reversal error",
        alarm=LOST_MOTION,
        does="The nut of the X screw loses its preload: the table lags after each reversal, parts get the wrong size.",
    ),
    FaultMode(
        "guide_lubrication",
        8,
        "X guides",
        ("x_current", "x_motor_temperature", "x_following_error", "lubrication_pressure", "power"),
        alarm=LUBRICATION,
        does="The oil distributor of the X guides is blocked: the pressure rises, the guides run dry and stick.",
    ),
    FaultMode(
        "screw_misalignment",
        9,
        "X screw support",
        ("x_current", "x_following_error", "screw_temperature", "x_motor_temperature"),
        evidence="current over position",
        alarm=SCREW_HOT,
        does="The support of the X screw is out of line: the nut binds, the motor works harder, the screw warms.",
    ),
    FaultMode(
        "spindle_chiller_loss",
        10,
        "spindle chiller",
        (
            "power",
            "head_temperature",
            "spindle_front_temperature",
            "spindle_rear_temperature",
            "spindle_motor_temperature",
        ),
        evidence="size drift with temperature",
        alarm=CHILLER,
        does="The spindle chiller fades: the head warms and grows, parts drift.",
    ),
    FaultMode(
        "tool_flank_wear",
        11,
        "tool 2 and 3",
        (*_FEELS_FORCE, *_FEED, *_SHAKES),
        shape="linear",
        growth_s=4 * 3600.0,
        evidence="roughness, size",
        alarm=OVERLOAD,
        does="Tools 2 and 3 wear far beyond their life: more force and power, rough parts of the wrong size.",
    ),
    FaultMode(
        "tool_breakage",
        12,
        "tool 2",
        (*_FEELS_FORCE, *_FEED, *_SHAKES),
        shape="step",
        growth_s=0.0,
        evidence="scrap at once",
        alarm=BREAKAGE,
        does="Tool 2 breaks: a peak of load, then it hardly cuts, and the parts are scrap.",
    ),
    FaultMode(
        "chip_jam",
        13,
        "tool 2",
        (*_FEELS_FORCE, *_FEED, *_SHAKES, "coolant_pressure"),
        shape="linear",
        growth_s=1800.0,
        alarm=OVERLOAD,
        does="Chips jam around tool 2: the load swings high, the coolant pressure ripples.",
    ),
    FaultMode(
        "chatter",
        14,
        "tool 2",
        _SHAKES,
        shape="linear",
        growth_s=1800.0,
        evidence="peak off the tooth-pass lines",
        alarm=VIBRATION,
        does="Tool 2 chatters: a loud tone between the lines of the teeth.",
    ),
    FaultMode(
        "coolant_filter",
        15,
        "coolant filter",
        ("coolant_pressure", "coolant_flow", "coolant_temperature", "power"),
        shape="linear",
        growth_s=5 * 86400.0,
        evidence="wear of tools faster",
        alarm=COOLANT,
        does="The coolant filter clogs: less flow and pressure, tools wear faster.",
    ),
    FaultMode(
        "encoder_cable",
        20,
        "X encoder cable",
        ("x_position", "x_following_error", "alarm"),
        shape="linear",
        growth_s=2 * 86400.0,
        evidence="drop-outs at one pose",
        alarm=ENCODER,
        does="The cable of the encoder breaks where it bends: positions drop out.",
    ),
    FaultMode(
        "hydraulic_leak",
        22,
        "clamping hydraulics",
        ("hydraulic_pressure", "power"),
        shape="linear",
        evidence="pump cycles more often",
        alarm=HYDRAULICS,
        does="The clamping hydraulics leak: the pump runs more and more often, then cannot hold the pressure.",
    ),
)


def _adapted(without: set[str], narrowed: dict[str, tuple[str, ...]]) -> tuple[FaultMode, ...]:
    """Return the modes without some, and with other signals for some, as another kind of machine has them."""
    return tuple(
        replace(mode, signals=narrowed.get(mode.code, mode.signals)) for mode in MODES if mode.code not in without
    )


_CARRIAGE: Final = ("z_current", "z_following_error")

LATHE_MODES: Final = _adapted(
    {"tool_holder_imbalance"},
    {
        "drawbar_force_loss": ("drawbar_force", "unclamp_time"),
        "guide_lubrication": ("x_current", "x_following_error", "lubrication_pressure"),
        "tool_flank_wear": (*_FEELS_FORCE, *_CARRIAGE, *_SHAKES),
        "tool_breakage": (*_FEELS_FORCE, *_CARRIAGE, *_SHAKES),
        "chip_jam": (*_FEELS_FORCE, *_CARRIAGE, *_SHAKES, "coolant_pressure"),
        "encoder_cable": ("x_position", "x_following_error"),
    },
)
"""A lathe's tools do not turn, and its X axis moves little: the carriage (Z) feels the cut."""

GRINDER_MODES: Final = _adapted(
    {"tool_breakage", "chip_jam", "chatter", "encoder_cable"},
    {
        "guide_lubrication": ("x_current", "x_following_error", "lubrication_pressure"),
        "tool_flank_wear": _FEELS_FORCE,
    },
)
"""A grinder's wheel is tool 3: out of balance like a tool holder, dull instead of worn."""


def _trips(acceleration_m_s2: float) -> tuple[Trip, ...]:
    """Return what the controller stops for.

    Beside signals it knows: `tool_load`, the torque of the cut over that of a sharp tool, as tool monitors learn it;
    `unbalance`, the velocity (mm/s RMS) once per turn, without a cut; `servo_peak`, the highest current of an axis (A);
    `lost_motion`, the difference of scale and motor encoder of X (µm); `pumped_coolant`, the pressure (bar) while the
    pump is on; `chiller_power`, what the chiller draws (W).
    """
    return (
        Trip("servo_peak", COLLISION, high=38.0, seconds=0.0),
        Trip("tool_load", BREAKAGE, low=0.6, seconds=0.6),
        Trip("tool_load", OVERLOAD, high=1.9, seconds=0.6),
        Trip("unbalance", UNBALANCE, high=2.8, seconds=0.0),
        Trip("vibration_acceleration", VIBRATION, high=acceleration_m_s2, seconds=2.0),
        Trip("vibration_velocity", VIBRATION, high=11.0, seconds=4.0),
        Trip("spindle_front_temperature", SPINDLE_HOT, high=80.0),
        Trip("spindle_rear_temperature", SPINDLE_HOT, high=80.0),
        Trip("chiller_power", CHILLER, low=200.0, seconds=10.0),
        Trip("drawbar_force", DRAWBAR, low=10.0),
        Trip("lost_motion", LOST_MOTION, high=20.0),
        Trip("screw_temperature", SCREW_HOT, high=40.0),
        Trip("lubrication_pressure", LUBRICATION, high=36.0, seconds=1.0),
        Trip("pumped_coolant", COOLANT, low=8.0, seconds=5.0),
        Trip("hydraulic_pressure", HYDRAULICS, low=35.0),
    )


TRIPS: Final = _trips(45.0)
LATHE_TRIPS: Final = _trips(20.0)
GRINDER_TRIPS: Final = _trips(18.0)
