"""Signals and failure modes of what stands around the machine tools: transport, measuring, energy."""

from __future__ import annotations

from typing import Final

from simulators.fault import FaultMode
from simulators.machine import Signal

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
    FaultMode("wheel_bearing", 0, "drive wheel", ("motor_current", "motor_temperature", "battery_charge")),
    FaultMode("battery_aging", 0, "battery cells", ("battery_voltage", "battery_charge"), shape="linear", growth_s=2e7),
)

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
    FaultMode("air_bearing", 0, "air bearings", ("air_pressure",), shape="linear", evidence="scatter of measurements"),
)

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
    FaultMode("air_leak", 0, "air network", ("flow", "power", "energy"), shape="linear", evidence="load at night"),
    FaultMode("intake_filter", 0, "intake filter", ("outlet_temperature", "power"), shape="linear"),
    FaultMode("motor_bearing", 1, "motor bearing", ("vibration_velocity",), evidence="BPFO in the envelope"),
)

PV: Final = (
    Signal("irradiance", "Sun/Irradiance", "W/m²", low=0, high=1400, deadband=1, noise=0.5),
    Signal("module_temperature", "Sun/ModuleTemperature", "°C", low=-20, high=90, deadband=0.1, period_s=1, noise=0.05),
    POWER,
    ENERGY,
    SEQUENCE,
)
PV_MODES: Final = (
    FaultMode("soiling", 0, "modules", ("power", "energy"), shape="linear", growth_s=30 * 86400.0),
    FaultMode("string_loss", 0, "one of four strings", ("power", "energy"), shape="step"),
)

BATTERY: Final = (
    Signal("charge", "State/Charge", "%", low=0, high=100, deadband=0.01, period_s=1),
    Signal("setpoint", "State/Setpoint", "kW", low=-30, high=30, writable=True, description="Above 0 charges"),
    Signal("temperature", "State/Temperature", "°C", low=-20, high=70, deadband=0.05, period_s=1, noise=0.02),
    Signal("voltage", "State/Voltage", "V", low=300, high=450, deadband=0.1, noise=0.05),
    POWER,
    Signal("energy", "Energy/Energy", "kWh", deadband=0.001, period_s=1, description="Net taken since the start"),
    SEQUENCE,
)
BATTERY_MODES: Final = (
    FaultMode("cell_resistance", 0, "cells", ("voltage", "temperature"), shape="linear", growth_s=2e7),
)
