"""Signals and failure modes of six-axis robots; row numbers are those of the fault table in the documentation."""

from __future__ import annotations

from typing import Final

from simulators.fault import FaultMode
from simulators.machine import Signal
from simulators.supervision import Trip

GRIP: Final = "GRIP MISSED"
LOST: Final = "PART LOST"
ENCODER: Final = "JOINT 4 ENCODER"
BRAKE: Final = "BRAKE TEST FAILED: JOINT 2"


def _collision(joint: int) -> str:
    return f"COLLISION DETECTION: JOINT {joint}"


def _joint(number: int) -> tuple[Signal, ...]:
    name, place = f"joint{number}", f"Joints/{number}"
    return (
        Signal(f"{name}_position", f"{place}/Position", "°", low=-360, high=360, deadband=0.01, noise=0.001),
        Signal(f"{name}_speed", f"{place}/Speed", "°/s", low=-400, high=400, deadband=0.1, noise=0.02),
        Signal(f"{name}_current", f"{place}/Current", "A", low=-30, high=30, deadband=0.02, noise=0.015),
        Signal(
            f"{name}_temperature", f"{place}/Temperature", "°C", low=0, high=110, deadband=0.1, period_s=1, noise=0.05
        ),
        Signal(f"{name}_tracking_error", f"{place}/TrackingError", "°", low=-5, high=5, deadband=0.0005, noise=0.0003),
    )


SIGNALS: Final = (
    Signal("execution", "Controller/Execution", datatype="string", description="Execution state (MTConnect words)"),
    Signal("mode", "Controller/Mode", datatype="string"),
    Signal("program", "Controller/Program", datatype="string"),
    Signal("step", "Controller/Step", datatype="int64", low=0),
    Signal("cycle_count", "Controller/CycleCount", datatype="int64", low=0),
    Signal("cycle_time", "Controller/CycleTime", "s", low=0, high=600, deadband=0.05, period_s=1),
    Signal("alarm", "Controller/Alarm", datatype="string", description="Active alarm, empty when there is none"),
    Signal("speed_override", "Controller/SpeedOverride", "%", low=0, high=100, writable=True),
    Signal("tcp_speed", "Tool/Speed", "mm/s", low=0, high=4000, deadband=1, noise=0.3),
    Signal("payload", "Tool/Payload", "kg", low=0, high=12, deadband=0.01),
    Signal("gripper_closed", "Tool/GripperClosed", datatype="boolean"),
    Signal("gripper_vacuum", "Tool/Vacuum", "kPa", low=-100, high=5, deadband=0.1, noise=0.08),
    Signal("grip_misses", "Tool/GripMisses", datatype="int64", low=0),
    *(signal for number in range(1, 7) for signal in _joint(number)),
    Signal(
        "brake_drop",
        "Safety/BrakeDrop",
        "°",
        low=0,
        high=5,
        deadband=0.001,
        period_s=1,
        noise=0.0005,
        description="Sag of joint 2 at the last brake test",
    ),
    Signal("protective_stop", "Safety/ProtectiveStop", datatype="boolean"),
    Signal("cabinet_temperature", "Cabinet/Temperature", "°C", low=0, high=70, deadband=0.1, period_s=1, noise=0.05),
    Signal("supply_voltage", "Cabinet/SupplyVoltage", "V", low=0, high=500, deadband=0.2, period_s=1, noise=0.15),
    Signal("power", "Energy/Power", "kW", low=0, high=10, deadband=0.005, noise=0.004),
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
        "harmonic_drive",
        16,
        "reducer of joint 5",
        ("joint5_current", "joint5_tracking_error"),
        evidence="2× motor speed in current and tracking",
        alarm=_collision(5),
        does="The reducer of joint 5 wears: friction, and a ripple twice per motor turn.",
    ),
    FaultMode(
        "rv_reducer",
        17,
        "reducer of joint 2",
        ("joint2_current", "joint2_temperature", "joint2_tracking_error", "power"),
        evidence="iron in the grease, backlash",
        alarm=_collision(2),
        does="The reducer of joint 2 wears: friction, heat and play.",
    ),
    FaultMode(
        "brake",
        18,
        "brake and motor of joint 2",
        ("brake_drop", "joint2_temperature", "joint2_current", "joint2_tracking_error"),
        alarm=BRAKE,
        does="The brake of joint 2 drags and holds less: the joint warms, the arm sags at its brake test.",
    ),
    FaultMode(
        "calibration_shift",
        19,
        "mastering",
        ("grip_misses", "gripper_vacuum", "cycle_time"),
        shape="step",
        evidence="repeatability check",
        alarm=GRIP,
        does="A bump shifted the axes: grips miss now and then, cycles take longer.",
    ),
    FaultMode(
        "encoder_cable",
        20,
        "cable of joint 4",
        ("joint4_position", "joint4_tracking_error", "alarm"),
        shape="linear",
        growth_s=2 * 86400.0,
        evidence="drop-outs at one pose",
        alarm=ENCODER,
        does="The cable of the encoder of joint 4 breaks where it bends: positions drop out.",
    ),
    FaultMode(
        "vacuum_leak",
        22,
        "gripper",
        ("gripper_vacuum", "alarm", "protective_stop"),
        shape="linear",
        growth_s=3 * 86400.0,
        alarm=LOST,
        does="The gripper leaks: the vacuum weakens until a part falls.",
    ),
)

TRIPS: Final = (
    *(Trip(f"joint{joint}_excess", _collision(joint), high=0.1, seconds=0.0) for joint in range(1, 7)),
    *(Trip(f"joint{joint}_temperature", f"MOTOR TOO HOT: JOINT {joint}", high=90.0) for joint in range(1, 7)),
    Trip("brake_drop", BRAKE, high=0.5),
)
"""What the controller stops for: `excess` is how far a current is from the model's, as a share of the rated one."""
