"""Blocks of a spindle that turns at 3000 rpm, sound or with a pitted ring, as the detector sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from contract.block import Block, pack
from contract.event import Event
from contract.model import Asset, Sample, Signal
from contract.sensor import Bearing, Sensor
from edge.blocks import measured
from edge.detectors.vibration import Options, Vibration, detector

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
RATE_HZ = 25_600.0
COUNT = 16_384
FRONT = Bearing(name="front", outer=8.205, inner=10.795, ball=3.478, cage=0.4318)
REAR = Bearing(name="rear", outer=3.1, inner=4.9, ball=2.05, cage=0.3875)
SPINDLE = Sensor(speed="speed", bearings=(FRONT, REAR))
Numbers = npt.NDArray[np.float64]


def asset(sensor: Sensor | None = SPINDLE) -> Asset:
    sensors = {} if sensor is None else {"spindle": sensor}
    signals = (Signal("speed"), Signal("execution"))
    return Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=signals, sensors=sensors)


def vibration(sensor: Sensor | None = SPINDLE, active: bool = False, **options: Any) -> Vibration:
    entry = Options.model_validate({"kind": "vibration", "name": "spindle", "sensor": "spindle", **options})
    return detector(entry, asset(sensor), frozenset({"spindle"} if active else ()))


def turning(amplitude: float = 2.0, hz: float = 50.0) -> Numbers:
    """Return a block of noise with a line at the turns of the shaft, in m/s²."""
    time = np.arange(COUNT) / RATE_HZ
    noise = np.random.default_rng(1).standard_normal(COUNT) * 0.1
    return np.asarray(noise + amplitude * np.sin(2 * np.pi * hz * time))


def pitted(order: float, amplitude: float = 10.0, hz: float = 50.0) -> Numbers:
    """Return a block in which something strikes `order` times per turn and rings at 4 kHz."""
    strikes = np.zeros(COUNT)
    strikes[(np.arange(0.0, COUNT / RATE_HZ - 0.001, 1.0 / (order * hz)) * RATE_HZ).astype(int)] = amplitude
    decay = np.arange(400) / RATE_HZ
    ring = np.exp(-decay * 1500.0) * np.sin(2 * np.pi * 4000.0 * decay)
    return np.asarray(turning(0.5) + np.convolve(strikes, ring)[:COUNT])


def block(values: Numbers, at_s: float = 10.0, unit: str = "m/s²", **header: Any) -> Block:
    start_ns = START_NS + round(at_s * SECOND_NS)
    return measured("cnc-01", "spindle", pack(values.tolist()), start_ns=start_ns, rate_hz=RATE_HZ, unit=unit, **header)


def say(
    under_test: Vibration, said: Block, *speeds: float, execution: str = "ACTIVE"
) -> tuple[dict[str, Any], list[Event]]:
    """Show a block, with speeds of the shaft from one second before it to its end; return features and events."""
    start_ns = said.header.start_ns - SECOND_NS
    step_ns = (said.header.end_ns - start_ns) // max(1, len(speeds))
    samples = [Sample("cnc-01", "speed", start_ns + i * step_ns, rpm) for i, rpm in enumerate(speeds)]
    samples.append(Sample("cnc-01", "execution", start_ns, execution))
    found = under_test.update(samples, [said], said.header.end_ns)
    assert all(sample.time_ns == said.header.end_ns for sample in found.samples)
    return {sample.signal.removeprefix("spindle_"): sample.value for sample in found.samples}, list(found.events)


def test_a_sine_has_the_velocity_peak_and_crest_that_the_formulas_give() -> None:
    found, _ = say(vibration(), block(turning(2.0)), 3000.0)
    assert found["velocity"] == pytest.approx(2.0 / (2 * np.pi * 50.0) / np.sqrt(2) * 1000.0, rel=0.02)
    assert found["acceleration"] == pytest.approx(2.0 / np.sqrt(2), rel=0.02)
    assert found["peak"] == pytest.approx(2.3, rel=0.1)
    assert found["crest"] == pytest.approx(1.6, rel=0.1)
    assert found["kurtosis"] == pytest.approx(1.5, rel=0.05)
    assert found["once"] == pytest.approx(2.0, rel=0.05)
    assert found["twice"] < 0.02


def test_the_line_of_what_is_pitted_stands_out() -> None:
    for order, line in ((8.205, "front_outer"), (10.795, "front_inner"), (3.1, "rear_outer")):
        found, _ = say(vibration(), block(pitted(order)), 3000.0)
        others = [found[f"{bearing}_{ring}"] for bearing in ("front", "rear") for ring in ("outer", "inner")]
        assert found[line] == max(others) > 20.0


def test_units_are_those_of_acceleration() -> None:
    wanted, _ = say(vibration(), block(turning()), 3000.0)
    for values, unit in ((turning() / 9.80665, "g"), (turning() * 1000.0, "mm/s²"), (turning(), "")):
        found, _ = say(vibration(), block(values, unit=unit), 3000.0)
        assert found["velocity"] == pytest.approx(wanted["velocity"], rel=1e-4)
    scaled = measured(
        "cnc-01", "spindle", pack([round(v * 1000) for v in turning()], "int16"),
        start_ns=START_NS, rate_hz=RATE_HZ, unit="m/s²", number="int16", scale=0.001,
    )  # fmt: skip
    assert say(vibration(), scaled, 3000.0)[0]["velocity"] == pytest.approx(wanted["velocity"], rel=1e-2)
    with pytest.raises(ValueError, match="'spindle' are in 'V', not in m/s², mm/s² or g"):
        say(vibration(), block(turning(), unit="V"), 3000.0)


def test_what_needs_the_speed_is_left_out_when_that_is_not_known_or_moves() -> None:
    plain = {"velocity", "acceleration", "peak", "crest", "kurtosis", "floor"}
    assert set(say(vibration(), block(turning()))[0]) == plain
    assert set(say(vibration(), block(turning()), 3000.0, 3010.0, 3200.0)[0]) == plain
    assert "front_outer" in say(vibration(), block(turning()), 3000.0, 3010.0, 2995.0)[0]
    assert set(say(vibration(None), block(turning()), 3000.0)[0]) == plain
    assert set(say(vibration(), block(turning()), 0.0)[0]) == plain
    fixed = Sensor(rpm=3000.0, bearings=(FRONT.model_copy(update={"name": ""}),))
    assert {"once", "outer", "cage"} <= set(say(vibration(fixed), block(turning()))[0])


def test_a_speed_holds_until_the_next_one_and_that_of_a_block_is_the_one_at_its_time() -> None:
    under_test = vibration()
    first, second = block(turning(hz=50.0), at_s=10), block(turning(hz=25.0), at_s=20)
    assert say(under_test, first, 3000.0)[0]["once"] == pytest.approx(2.0, rel=0.05)
    assert say(under_test, second, 1500.0)[0]["once"] == pytest.approx(2.0, rel=0.05)
    assert say(under_test, block(turning(hz=25.0), at_s=400))[0]["once"] == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(
    "sensor", [SPINDLE, None, Sensor(rpm=1797.0, bearings=(Bearing(**dict(FRONT) | {"name": ""}),))]
)
def test_it_says_which_signals_it_adds_with_their_units(sensor: Sensor | None) -> None:
    options = Options.model_validate({"kind": "vibration", "name": "spindle", "sensor": "spindle"})
    stated = {signal.name: signal for signal in options.features(asset(sensor).sensors)}
    found, _ = say(vibration(sensor), block(pitted(8.205)), 3000.0)
    assert {f"spindle_{name}" for name in found} <= set(stated)
    assert all(signal.description.startswith("spindle: ") for signal in stated.values())
    assert (stated["spindle_velocity"].unit, stated["spindle_kurtosis"].unit) == ("mm/s", "")
    assert ("spindle_front_outer" in stated) == (sensor is SPINDLE)


def test_some_blocks_in_a_row_above_a_limit_are_a_condition_that_names_the_block() -> None:
    under_test = vibration(limits={"velocity": 5.0}, count=2)
    series = [turning(each) for each in (2.0, 2.5, 2.0, 2.5, 3.0, 1.9, 2.1, 2.1)]
    blocks = [block(values, at_s=10.0 * i) for i, values in enumerate(series)]
    told = [(i, event) for i, each in enumerate(blocks) for event in say(under_test, each, 3000.0)[1]]
    assert [(i, event.state) for i, event in told] == [(4, "active")]
    event = told[0][1]
    waveform, feature = event.evidence
    assert waveform.block == blocks[4].header.id
    assert (feature.signal, feature.start_ns) == ("spindle_velocity", blocks[3].header.start_ns)
    assert event.values["high"] == pytest.approx(5.0)
    low = [block(turning(1.0), at_s=100.0 + i) for i in range(2)]
    assert [len(say(under_test, each, 3000.0)[1]) for each in low] == [0, 1]


def test_a_limit_of_a_line_is_for_each_bearing() -> None:
    under_test = vibration(limits={"outer": 20.0}, count=1)
    _, [event] = say(under_test, block(pitted(3.1)), 3000.0)
    assert event.values["signal"] == "spindle_rear_outer"
    assert say(vibration(limits={"outer": 20.0}, count=1), block(turning()), 3000.0)[1] == []


def test_limits_count_in_the_states_of_when_alone() -> None:
    under_test = vibration(limits={"velocity": 1.0}, count=1, when=["ACTIVE"])
    found, events = say(under_test, block(turning()), 3000.0, execution="READY")
    assert found["velocity"] > 1.0
    assert events == []
    assert len(say(under_test, block(turning(), at_s=20), 3000.0)[1]) == 1


def test_blocks_that_are_late_or_have_numbers_that_are_none_are_as_if_they_had_not_come() -> None:
    under_test = vibration(limits={"velocity": 4.0})
    assert say(under_test, block(turning(), at_s=20), 3000.0)[0] != {}
    late = block(turning(), at_s=10)
    assert list(under_test.update([], [late], START_NS + 30 * SECOND_NS).samples) == []
    broken = turning()
    broken[7] = np.nan
    assert say(under_test, block(broken, at_s=40), 3000.0) == ({}, [])


def test_what_an_earlier_run_left_active_is_cleared_by_this_one() -> None:
    under_test = vibration(active=True, limits={"velocity": 9.0}, count=1)
    assert [event.state for event in say(under_test, block(turning(1.0)), 3000.0)[1]] == ["cleared"]


def test_a_limit_is_of_a_feature_that_there_is() -> None:
    with pytest.raises(ValidationError, match="Input should be 'velocity'"):
        vibration(limits={"velocty": 1.0})
