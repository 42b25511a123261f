"""Blocks of vibration sensors: when they come, what they hold, and that nobody notices that they are made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators import machines
from simulators.face import FaceError, Place, Setting
from simulators.faces.mqtt_json import MqttJson
from simulators.sensor import SAMPLES, Sensors

NS = 1_000_000_000
START_NS = 1_700_000_000 * NS
BLOCK_NS = 640_000_000


def starts(sensors: Sensors, *seconds: float) -> list[tuple[str, float]]:
    """Return sensor and end (s after the start) of each block that comes when asked at these times."""
    return [
        (block.sensor, (block.start_ns + BLOCK_NS - START_NS) / NS)
        for second in seconds
        for block in sensors.blocks(START_NS + round(second * NS))
    ]


def test_a_block_comes_every_ten_seconds_and_when_one_is_wanted() -> None:
    cnc = machines.load("cnc")("cnc-01", 3)
    sensors = Sensors(cnc)
    assert starts(sensors, 0.0, 0.2, 9.8, 10.0, 10.2) == [("spindle", 0.0), ("spindle", 10.0)]
    assert sensors.want("spindle") == sensors.want("") == ""
    assert starts(sensors, 10.4, 10.6) == [("spindle", 10.4)]
    assert "have: spindle" in sensors.want("table")
    assert starts(Sensors(cnc, 0.0), 0.0, 60.0) == []


def test_a_value_is_a_step_of_the_converter_that_a_float_of_32_bits_holds() -> None:
    cnc = machines.load("cnc")("cnc-01", 3)
    for _ in range(300):
        cnc.step(0.1)
    (block,) = Sensors(cnc).blocks(START_NS)
    assert len(block.values) == SAMPLES
    steps = block.values.astype(np.float64) * 2**14
    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(block.values - cnc.waveform("spindle", SAMPLES)).max() <= 2.0**-15


def test_measuring_changes_nothing_of_the_machine() -> None:
    measured, alone = (machines.load("cnc")("cnc-01", 3) for _ in range(2))
    sensors = Sensors(measured)
    for tick in range(300):
        for machine in (measured, alone):
            machine.step(0.1)
        sensors.want("")
        assert len(list(sensors.blocks(tick * NS))) == 1
    assert measured.read() == alone.read()
    assert measured.truth() == alone.truth()


def test_a_machine_has_the_sensors_that_its_options_name(tmp_path: Path) -> None:
    place, face = Place("demo", "shanghai", "assembly", "line1"), MqttJson(Setting(tmp_path))
    robot = machines.load("robot")
    assert starts(Sensors(robot("robot-01", 3)), 0.0) == []
    shown = face.show(robot("robot-02", 3, options={"sensors": ["joint2", "joint5"]}), place)
    assert [block.sensor for block in shown.measured(START_NS)] == ["joint2", "joint5"]
    with pytest.raises(FaceError, match="have: joint1"):
        face.show(robot("robot-03", 3, options={"sensors": ["spindle"]}), place)
