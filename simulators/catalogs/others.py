"""Signals and failure modes of what stands around the machine tools: transport, measuring, energy."""

from __future__ import annotations

from typing import Final

from simulators.fault import FaultMode
from simulators.machine import Signal
from simulators.supervision import Trip

EMPTY: Final = "BATTERY EMPTY"
DRIVE: Final = "DRIVE MOTOR OVERLOAD"
RESISTANCE: Final = "BATTERY RESISTANCE TOO HIGH"
AIR: Final = "AIR PRESSURE TOO LOW"
OUTLET: Final = "OUTLET TEMPERATURE TOO HIGH"
MOTOR: Final = "MOTOR VIBRATION TOO HIGH"
STRING: Final = "STRING CURRENT TOO LOW"
CELLS: Final = "CELL TEMPERATURE TOO HIGH"
DISCHARGED: Final = "STATE OF CHARGE TOO LOW"
OVERCHARGED: Final = "STATE OF CHARGE TOO HIGH"

EXECUTION: Final = Signal(
    "execution", "Controller/Execution", datatype="string", description="Execution state (MTConnect words)"
)
ALARM: Final = Signal(
    "alarm", "Controller/Alarm", datatype="string", description="Active alarm, empty when there is none"
)
POWER: Final = Signal("power", "Energy/Power", "kW", low=-100, high=200, deadband=0.005, noise=0.003)
ENERGY: Final = Signal(
    "energy", "Energy/Energy", "kWh", low=0, deadband=0.001, period_s=1, description="Since the start"
)
SEQUENCE: Final = Signal(
    "sequence",
    "Controller/Sequence",
    datatype="int64",
    low=0,
    description="Emissions since the start: a gap is a loss",
)

AGV: Final = (
    EXECUTION,
    ALARM,
    Signal("x_position", "Vehicle/X", "m", low=-10, high=100, deadband=0.01, noise=0.004),
    Signal("y_position", "Vehicle/Y", "m", low=-10, high=100, deadband=0.01, noise=0.004),
    Signal("speed", "Vehicle/Speed", "m/s", low=0, high=3, deadband=0.005, noise=0.003),
    Signal("load", "Vehicle/Load", "kg", low=0, high=600, deadband=0.1),
    Signal("task", "Vehicle/Task", datatype="string"),
    Signal("trips", "Vehicle/Trips", datatype="int64", low=0),
    Signal("motor_current", "Drive/MotorCurrent", "A", low=-80, high=80, deadband=0.1, noise=0.08),
    Signal("motor_temperature", "Drive/MotorTemperature", "°C", low=0, high=120, deadband=0.1, period_s=1, noise=0.05),
    Signal("battery_charge", "Battery/Charge", "%", low=0, high=100, deadband=0.05, period_s=1),
    Signal("battery_voltage", "Battery/Voltage", "V", low=40, high=60, deadband=0.02, noise=0.01),
    Signal("charging", "Battery/Charging", datatype="boolean"),
    POWER,
    ENERGY,
    SEQUENCE,
)
AGV_MODES: Final = (
    FaultMode(
        "wheel_bearing",
        0,
        "drive wheel",
        ("motor_current", "motor_temperature", "battery_charge"),
        alarm=DRIVE,
        does="A wheel bearing seizes: rolling takes more current, and the battery empties sooner.",
    ),
    FaultMode(
        "battery_aging",
        0,
        "battery cells",
        ("battery_voltage", "battery_charge"),
        shape="linear",
        growth_s=2e7,
        alarm=RESISTANCE,
        does="The cells of the battery age: its voltage sags under load, and charge goes faster.",
    ),
)
AGV_TRIPS: Final = (
    Trip("motor_current", DRIVE, high=5.0, seconds=4.0),
    Trip("battery_resistance", RESISTANCE, high=0.04, seconds=0.0),
)
"""What the controller stops for; `battery_resistance` (Ω) is the sag of the voltage under load over the current.

Such a load lasts for moments; twice the resistance of new cells is their end."""

MEASURING: Final = (
    EXECUTION,
    ALARM,
    Signal("part", "Result/Part", datatype="string"),
    Signal("size_deviation", "Result/SizeDeviation", "µm", low=-500, high=500),
    Signal("depth_deviation", "Result/DepthDeviation", "µm", low=-500, high=500),
    Signal("roughness", "Result/Roughness", "µm", low=0, high=50),
    Signal("verdict", "Result/Verdict", datatype="string", description="good, scrap or empty"),
    Signal("measured_count", "Result/MeasuredCount", datatype="int64", low=0),
    Signal("scrap_count", "Result/ScrapCount", datatype="int64", low=0),
    Signal("room_temperature", "Room/Temperature", "°C", low=0, high=50, deadband=0.02, period_s=1, noise=0.01),
    Signal("air_pressure", "Supply/AirPressure", "bar", low=0, high=10, deadband=0.02, period_s=1, noise=0.01),
    POWER,
    ENERGY,
    SEQUENCE,
)
MEASURING_MODES: Final = (
    FaultMode(
        "air_bearing",
        0,
        "air bearings",
        ("air_pressure",),
        shape="linear",
        evidence="scatter of measurements",
        alarm=AIR,
        does="The air supply of the bearings fades: results scatter, then the axes are locked.",
    ),
)
MEASURING_TRIPS: Final = (Trip("air_pressure", AIR, low=4.5),)

METER: Final = (
    *(
        signal
        for phase in ("1", "2", "3")
        for signal in (
            Signal(f"voltage_l{phase}", f"Phases/L{phase}/Voltage", "V", low=0, high=300, deadband=0.2, noise=0.1),
            Signal(f"current_l{phase}", f"Phases/L{phase}/Current", "A", low=-400, high=400, deadband=0.05, noise=0.02),
        )
    ),
    Signal("frequency", "Grid/Frequency", "Hz", low=45, high=55, deadband=0.002, noise=0.001),
    Signal("power_factor", "Grid/PowerFactor", low=-1, high=1, deadband=0.002, noise=0.001),
    Signal("reactive_power", "Grid/ReactivePower", "kvar", low=-200, high=200, deadband=0.01, noise=0.005),
    POWER,
    ENERGY,
    Signal(
        "energy_exported", "Energy/Exported", "kWh", low=0, deadband=0.001, period_s=1, description="Fed into the grid"
    ),
    SEQUENCE,
)

COMPRESSOR: Final = (
    EXECUTION,
    ALARM,
    Signal("pressure", "Air/Pressure", "bar", low=0, high=12, deadband=0.01, noise=0.005),
    Signal("flow", "Air/Flow", "m³/h", low=0, high=200, deadband=0.2, noise=0.1),
    Signal("outlet_temperature", "Air/OutletTemperature", "°C", low=0, high=130, deadband=0.1, period_s=1, noise=0.05),
    Signal("load_cycles", "Controller/LoadCycles", datatype="int64", low=0),
    Signal("vibration_velocity", "Motor/VibrationVelocity", "mm/s", low=0, high=20, deadband=0.01, noise=0.01),
    POWER,
    ENERGY,
    SEQUENCE,
)
COMPRESSOR_MODES: Final = (
    FaultMode(
        "air_leak",
        0,
        "air network",
        ("flow", "power", "energy"),
        shape="linear",
        evidence="load at night",
        does="The air network leaks: the compressor runs loaded far more, and never stops at night.",
    ),
    FaultMode(
        "intake_filter",
        0,
        "intake filter",
        ("outlet_temperature", "power"),
        shape="linear",
        alarm=OUTLET,
        does="The intake filter clogs: less air per turn, longer loads, a hot outlet.",
    ),
    FaultMode(
        "motor_bearing",
        1,
        "motor bearing",
        ("vibration_velocity",),
        evidence="BPFO in the envelope",
        alarm=MOTOR,
        does="The outer race of the motor bearing pits: it rattles and shakes.",
    ),
)
COMPRESSOR_TRIPS: Final = (
    Trip("outlet_temperature", OUTLET, high=115.0),
    Trip("vibration_velocity", MOTOR, high=11.0),
)

PV: Final = (
    EXECUTION,
    ALARM,
    Signal("irradiance", "Sun/Irradiance", "W/m²", low=0, high=1400, deadband=1, noise=0.5),
    Signal("module_temperature", "Sun/ModuleTemperature", "°C", low=-20, high=90, deadband=0.1, period_s=1, noise=0.05),
    POWER,
    ENERGY,
    SEQUENCE,
)
PV_MODES: Final = (
    FaultMode(
        "soiling",
        0,
        "modules",
        ("power", "energy"),
        shape="linear",
        growth_s=30 * 86400.0,
        does="Dust on the modules: less power at the same sun.",
    ),
    FaultMode(
        "string_loss",
        0,
        "one of four strings",
        ("power", "energy"),
        shape="step",
        alarm=STRING,
        does="One of four strings is gone: a quarter of the power at once.",
    ),
)
PV_TRIPS: Final = (Trip("weakest_string", STRING, low=0.6, seconds=30.0),)
"""What the inverter tells; `weakest_string` is the current of a string over the mean of the others, in the sun."""

BATTERY: Final = (
    EXECUTION,
    ALARM,
    Signal("charge", "State/Charge", "%", low=0, high=100, deadband=0.01, period_s=1),
    Signal("setpoint", "State/Setpoint", "kW", low=-30, high=30, writable=True, description="Above 0 charges"),
    Signal("temperature", "State/Temperature", "°C", low=-20, high=70, deadband=0.05, period_s=1, noise=0.02),
    Signal("voltage", "State/Voltage", "V", low=300, high=450, deadband=0.1, noise=0.05),
    POWER,
    Signal("energy", "Energy/Energy", "kWh", deadband=0.001, period_s=1, description="Net taken since the start"),
    SEQUENCE,
)
BATTERY_MODES: Final = (
    FaultMode(
        "cell_resistance",
        0,
        "cells",
        ("voltage", "temperature"),
        shape="linear",
        growth_s=2e7,
        alarm=RESISTANCE,
        does="The resistance of the cells rises: voltage swings with the current, the battery warms.",
    ),
)
BATTERY_TRIPS: Final = (
    Trip("cell_resistance", RESISTANCE, high=0.36),
    Trip("temperature", CELLS, high=55.0),
    Trip("charge", DISCHARGED, low=5.0),
    Trip("charge", OVERCHARGED, high=99.0),
)
"""What opens the contactors; `cell_resistance` (Ω) is the swing of the voltage over the current."""
