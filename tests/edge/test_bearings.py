"""What stands behind a sensor, as a plant file says it, or says it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.model import Asset
from contract.sensor import Bearing, Sensor
from edge.config import PlantFileError, parse_plant

PLANT = """\
enterprise: demo
site: here
areas:
  machining:
    lines:
      line1:
        machines:
          cnc-01:
            driver: mqtt
            address: mqtt://127.0.0.1
            topic: cnc-01
            signals:
              spindle_speed: {path: s, unit: rpm}
              program: {path: p, datatype: string}
            blocks:
              spindle:
                topic: cnc-01/spindle
                rate_hz: 25600
"""


def asset(*facts: str) -> Asset:
    text = PLANT + "".join(f"                {fact}\n" for fact in facts)
    [line] = parse_plant(text, Path("plant.yaml")).lines
    return line.machines["cnc-01"].asset(line.place, "cnc-01")


def rounded(bearing: Bearing) -> tuple[str, ...]:
    return (
        bearing.name,
        bearing.type,
        *(f"{order:.4f}" for order in (bearing.outer, bearing.inner, bearing.ball, bearing.cage)),
    )


def test_a_bearing_is_its_type_its_geometry_or_its_orders() -> None:
    said = asset(
        "speed: spindle_speed",
        "bearings:",
        "  - {name: front, type: 6205}",
        "  - {name: middle, balls: 9, ball_mm: 7.94, pitch_mm: 39.04}",
        "  - {name: rear, type: 7014C, balls: 19, ball_mm: 12.7, pitch_mm: 90, contact_deg: 15}",
        "  - {name: gear, outer: 3.05, inner: 4.95, ball: 1.99, cage: 0.38}",
    ).sensors
    assert list(said) == ["spindle"]
    assert said["spindle"].speed == "spindle_speed"
    assert [rounded(bearing) for bearing in said["spindle"].bearings] == [
        ("front", "6205", "3.5848", "5.4152", "2.3567", "0.3983"),
        ("middle", "", "3.5848", "5.4152", "2.3567", "0.3983"),
        ("rear", "7014C", "8.2051", "10.7949", "3.4775", "0.4318"),
        ("gear", "", "3.0500", "4.9500", "1.9900", "0.3800"),
    ]


def test_a_shaft_may_have_one_speed_and_a_sensor_nothing_behind_it() -> None:
    assert asset("rpm: 1797").sensors == {"spindle": Sensor(rpm=1797.0)}
    assert asset("unit: m/s2").sensors == {}


@pytest.mark.parametrize(
    ("detector", "text"),
    [
        ("{kind: drift, name: d, signal: spindle_speed, by: [program, tol]}", "by.1: no signal 'tol'"),
        (
            "{kind: cycle, name: c, measured: [spindle_speed, program], by: [program]}",
            "measured.1: 'program' is no numb",
        ),
        ("{kind: vibration, name: v, sensor: spindel}", "sensor: no sensor 'spindel'; did you mean 'spindle'?"),
        (
            "{kind: vibration, name: v, sensor: spindle, limits: {velocty: 1}}",
            "limits.velocty: unknown value 'velocty'",
        ),
    ],
)
def test_a_detector_says_which_of_its_options_is_wrong(detector: str, text: str) -> None:
    with pytest.raises(PlantFileError) as error:
        parse_plant(f"{PLANT}            detectors:\n              - {detector}\n", Path("plant.yaml"))
    assert f"plant.yaml:20: machines.cnc-01.detectors.0.{text}" in str(error.value)


ORDERS = "{{outer: {}, inner: {}, ball: 2.3, cage: {}}}"


@pytest.mark.parametrize(
    ("facts", "line", "text"),
    [
        (("speed: spindle_sped",), 19, ".speed: no signal 'spindle_sped'; did you mean 'spindle_speed'?"),
        (("speed: program",), 19, ".speed: 'program' is no number: its datatype is string"),
        (("speed: spindle_speed", "rpm: 1797"), 16, ": state `speed` or `rpm`, not both"),
        (("bearings: [{type: 6205}]",), 16, ": bearings need the speed of their shaft: state `speed`"),
        (("rpm: 0",), 19, ".rpm: must be greater than 0"),
        (("rpm: 1797", "bearings: [{type: 6206}]"), 20, ".bearings.0: no bearing '6206'; did you mean '6205'?"),
        (("rpm: 1797", "bearings: [{name: front}]"), 20, ".bearings.0: state a `type`, or its geometry"),
        (("rpm: 1797", "bearings: [{type: 6205, balls: 9}]"), 20, ".bearings.0: state a `type`, or its geometry"),
        (("rpm: 1797", "bearings: [{typ: 6205}]"), 20, ".bearings.0: unknown key 'typ'; did you mean 'type'?"),
        (("rpm: 1797", "bearings:", "  - {balls: 9, ball_mm: 40, pitch_mm: 39}"), 21, ".bearings.0: a bearing has"),
        (
            ("rpm: 1797", "bearings: [{balls: 30, ball_mm: 8, pitch_mm: 39}]"),
            20,
            ".bearings.0: 30 balls of 8 mm do",
        ),
        (("rpm: 1797", f"bearings: [{ORDERS.format(5.4, 3.6, 0.4)}]"), 20, ".bearings.0: `outer` (BPFO) is less"),
        (("rpm: 1797", f"bearings: [{ORDERS.format(3.6, 5.4, 0.6)}]"), 20, ".bearings.0: a `cage` (FTF) turns less"),
        (("rpm: 1797", f"bearings: [{ORDERS.format(1e-300, 2e-300, 0.4)}]"), 20, ".bearings.0: a `cage` (FTF) turns"),
        (("rpm: 1797", "bearings:", "  - type: 6205", "  - type: 6203"), 16, ": several bearings need a `name` each"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(facts: tuple[str, ...], line: int, text: str) -> None:
    with pytest.raises(PlantFileError) as error:
        asset(*facts)
    assert f"plant.yaml:{line}: machines.cnc-01.blocks.spindle{text}" in str(error.value)
