"""Each rule of the knowledge base: what makes it speak, and what is much like it and does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cloud.diagnosis import rules
from cloud.diagnosis.baseline import Baseline
from cloud.diagnosis.diagnosis import diagnose, learn
from cloud.diagnosis.window import Numbers, Window
from tests.cloud.diagnosis.mill import Change, Rows, alarmed, mill

ROWS = 720


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return learn(mill(4000, seed=1))


def always(size: float) -> Change:
    return lambda of: np.full(of.count, size)


def growing(size: float) -> Change:
    return lambda of: size * of.grown


def running(size: float) -> Change:
    return lambda of: np.where(of.tool > 0, size, 0.0)


def with_tool(tool: int, size: float) -> Change:
    return lambda of: np.where(of.tool == tool, size, 0.0)


def both_ways(size: float) -> Change:
    return lambda of: size * of.sign


def now_and_then(size: float, every: int = 23) -> Change:
    return lambda of: np.where(np.arange(of.count) % every == 7, size, 0.0)


def restless(size: float) -> Change:
    return lambda of: size * of.random.standard_normal(of.count)


def gone(rows: int) -> Change:
    return lambda of: np.where(np.arange(of.count) % rows == 5, np.nan, 0.0)


def said(baseline: Baseline, changes: dict[str, Change]) -> dict[str, str]:
    """Return what is said with confidence, by fault, and of which component."""
    report = diagnose(mill(ROWS, seed=2, changes=changes), baseline)
    return {one.fault: one.component for one in report.findings if one.confidence >= 0.5}


SHOWS: dict[str, tuple[str, dict[str, Change]]] = {
    "coolant_filter": ("coolant filter", {"coolant_pressure": running(-6), "coolant_flow": running(-6.5)}),
    "spindle_bearing_outer": ("spindle front bearing", {
        "vibration_acceleration": running(8.0), "spindle_front_temperature": always(4.0)}),
    "spindle_lubrication_loss": ("spindle bearings", {
        "spindle_front_temperature": always(12.0), "spindle_rear_temperature": always(9.0),
        "vibration_velocity": running(0.5), "vibration_acceleration": running(1.5), "spindle_power": running(0.3)}),
    "spindle_chiller_loss": ("spindle chiller", {"head_temperature": always(6.0), "power": always(-0.5)}),
    "tool_holder_imbalance": ("holder of tool 3", {
        "vibration_velocity": with_tool(3, 3.0), "vibration_acceleration": with_tool(3, 0.6)}),
    "chatter": ("tool 2", {
        "vibration_velocity": with_tool(2, 2.0), "vibration_acceleration": with_tool(2, 15.0)}),
    "drawbar_force_loss": ("drawbar springs", {"drawbar_force": always(-4.0), "unclamp_time": always(-0.08)}),
    "screw_preload_loss": ("X ball screw", {"x_following_error": both_ways(9.0)}),
    "guide_lubrication": ("X guides", {
        "x_current": running(2.0), "x_following_error": lambda of: 4.0 * of.sign * (of.tool > 0),
        "x_motor_temperature": always(6.0)}),
    "screw_misalignment": ("X screw support", {
        "x_current": running(2.0), "screw_temperature": always(9.0), "x_motor_temperature": always(5.0)}),
    "tool_flank_wear": ("tool 2", {"spindle_torque": with_tool(2, 2.0), "spindle_power": with_tool(2, 1.0)}),
    "chip_jam": ("tool 2", {
        "spindle_torque": with_tool(2, 2.0), "spindle_power": with_tool(2, 1.0),
        "coolant_pressure": lambda of: np.where(of.tool > 0, 2.0 * np.sin(of.grown * 900.0), 0.0)}),
    "encoder_cable": ("X encoder cable", {"x_position": gone(31), "x_following_error": gone(31)}),
    "hydraulic_leak": ("clamping hydraulics", {"hydraulic_pressure": restless(5.0), "power": running(0.4)}),
    "sensor_spike": ("coolant_pressure", {"coolant_pressure": now_and_then(12.0)}),
    "sensor_dropout": ("coolant_pressure", {"coolant_pressure": gone(31)}),
}  # fmt: skip
SHOWS["sensor_drift"] = ("drawbar_force", {"drawbar_force": growing(9.0)})

MISSES: dict[str, dict[str, Change]] = {
    # pressure alone: its sensor
    "coolant_filter": {"coolant_pressure": growing(-8.0)},
    # as much at standstill: its sensor
    "spindle_bearing_outer": {"vibration_acceleration": growing(8.0)},
    # the front alone: another cause
    "spindle_lubrication_loss": {"spindle_front_temperature": always(12.0)},
    # what is warm, and does not draw less
    "spindle_chiller_loss": {"head_temperature": always(6.0)},
    # it shakes with each tool
    "tool_holder_imbalance": {"vibration_velocity": running(2.0), "vibration_acceleration": running(0.6)},
    # once per turn is no chatter
    "chatter": {"vibration_velocity": with_tool(3, 3.0), "vibration_acceleration": with_tool(3, 0.6)},
    "drawbar_force_loss": {"drawbar_force": growing(-9.0)},
    # one way: an offset
    "screw_preload_loss": {"x_following_error": always(9.0)},
    # the screw warms
    "guide_lubrication": {"x_current": running(2.0), "screw_temperature": always(9.0)},
    "screw_misalignment": {"screw_temperature": growing(9.0)},
    # torque without power: its sensor
    "tool_flank_wear": {"spindle_torque": with_tool(2, 2.0)},
    # a steady rise is wear
    "chip_jam": {"spindle_torque": with_tool(2, 2.0), "spindle_power": with_tool(2, 1.0)},
    # one of the two: its sensor
    "encoder_cable": {"x_position": gone(31)},
    "hydraulic_leak": {"power": running(0.4)},
    # two that hang together
    "sensor_drift": {"drawbar_force": always(-4.0), "unclamp_time": always(-0.08)},
    # it ripples whenever that tool cuts
    "sensor_spike": {
        "coolant_pressure": lambda of: np.where(of.tool == 2, 4.0 * of.random.choice([-1.0, 1.0], of.count), 0.0)
    },
    "sensor_dropout": {"x_position": gone(31), "x_following_error": gone(31)},
}


@pytest.mark.parametrize("fault", SHOWS)
def test_a_rule_speaks_when_all_that_it_expects_is_there(baseline: Baseline, fault: str) -> None:
    component, changes = SHOWS[fault]
    assert said(baseline, changes).get(fault) == component


@pytest.mark.parametrize("fault", MISSES)
def test_a_rule_is_silent_when_what_tells_it_from_others_is_missing(baseline: Baseline, fault: str) -> None:
    assert fault not in said(baseline, MISSES[fault])


def test_a_healthy_machine_has_no_finding_and_the_report_lists_what_was_looked_at(baseline: Baseline) -> None:
    report = diagnose(mill(ROWS, seed=3), baseline)
    assert (report.findings, report.abstained) == ((), "")
    assert set(SHOWS) <= set(report.looked_at)
    assert report.baseline == baseline.id


@pytest.mark.parametrize("fault", ["tool_breakage", "spindle_crash"])
def test_what_stops_a_machine_at_once_is_known_by_its_alarm_and_the_last_row(baseline: Baseline, fault: str) -> None:
    row = ROWS - 15  # tool 2 cuts
    texts = {"tool_breakage": "TOOL BREAKAGE: LOAD TOO LOW", "spindle_crash": "X AXIS: COLLISION"}
    window = alarmed(mill(ROWS, seed=2), texts[fault], row)
    numbers = {name: values.copy() for name, values in window.numbers.items()}
    if fault == "tool_breakage":
        numbers["spindle_torque"][row - 1] = 0.3
    else:
        numbers["x_current"][row - 1] = 30.0
    report = diagnose(replace(window, numbers=numbers), baseline)
    assert report.findings[0].fault == fault
    assert diagnose(mill(ROWS, seed=2), baseline).findings == ()


def test_a_tool_that_shakes_and_hardly_cuts_is_broken_from_its_first_rows_on(baseline: Baseline) -> None:
    window = mill(ROWS, seed=2)
    for torque, faults in ((0.3, ["tool_breakage"]), (4.0, ["tool_holder_imbalance"])):
        numbers = {name: values.copy() for name, values in window.numbers.items()}
        newest = np.flatnonzero(numbers["tool_number"] == 2)[-2:]
        numbers["spindle_torque"][newest], numbers["vibration_velocity"][newest] = torque, 4.0
        assert [one.fault for one in diagnose(replace(window, numbers=numbers), baseline).findings] == faults


def test_what_shakes_with_several_tools_and_not_by_the_cut_sits_in_the_spindle(baseline: Baseline) -> None:
    bent = {"vibration_velocity": running(0.6)}
    assert said(baseline, bent) == {"spindle_crash": "spindle taper"}
    # a harder cut shakes more, too
    assert "spindle_crash" not in said(
        baseline, {**bent, "spindle_torque": lambda of: np.choose(of.tool, [0, 9, 4, 2])}
    )


def grinder(window: Window) -> Window:
    """Return the rows with tool 3, which is the wheel: a grinder has no other."""
    rows = np.flatnonzero(window.numbers["tool_number"] == 3)
    return replace(
        window,
        subject=replace(window.subject, kind="grinder"),
        times_ns=window.times_ns[: len(rows)],
        numbers={name: values[rows] for name, values in window.numbers.items()},
        texts={name: values[rows] for name, values in window.texts.items()},
    )


@pytest.mark.parametrize(("warmer_k", "fault"), [(0.0, "tool_holder_imbalance"), (4.0, "spindle_crash")])
def test_a_front_bearing_that_warms_tells_a_bent_spindle_from_a_wheel_out_of_balance(
    warmer_k: float, fault: str
) -> None:
    changes = {**SHOWS["tool_holder_imbalance"][1], "spindle_front_temperature": always(warmer_k)}
    report = diagnose(grinder(mill(4 * ROWS, seed=2, changes=changes)), learn(grinder(mill(12000, seed=1))))
    assert report.findings[0].fault == fault


def test_the_controls_own_alarm_names_the_holder_in_the_spindle(baseline: Baseline) -> None:
    report = diagnose(alarmed(mill(ROWS, seed=2), "SPINDLE UNBALANCE TOO HIGH", ROWS - 12), baseline)
    assert [(one.fault, one.component) for one in report.findings] == [("tool_holder_imbalance", "holder of tool 3")]


def test_a_tool_of_a_lathe_is_not_out_of_balance() -> None:
    def lathe(window: Window) -> Window:
        return replace(window, subject=replace(window.subject, kind="lathe"))

    shakes = mill(ROWS, seed=2, changes=SHOWS["tool_holder_imbalance"][1])
    report = diagnose(lathe(shakes), learn(lathe(mill(4000, seed=1))))
    assert "tool_holder_imbalance" not in {one.fault for one in report.findings}


def test_an_error_that_the_control_reckons_is_no_sensor_that_drifts(baseline: Baseline) -> None:
    assert said(baseline, {"x_following_error": growing(40.0)}) == {}
    assert said(baseline, {"drawbar_force": growing(9.0)}) == {"sensor_drift": "drawbar_force"}


def test_what_has_lately_become_restless_is_no_spike(baseline: Baseline) -> None:
    def ripples(of: Rows) -> Numbers:
        swing = 3.0 * np.clip((of.grown - 0.85) / 0.15, 0.0, 1.0) * np.sin(5.1 * np.arange(of.count))
        return np.where(of.tool > 0, swing, 0.0)

    assert "sensor_spike" not in said(baseline, {"coolant_pressure": ripples})


def strokes(size: float) -> Change:
    """What a stroke each four minutes adds: it fades over three rows."""
    return lambda of: size * np.choose(np.minimum(np.arange(of.count) % 24, 3), [1.0, 0.5, 0.25, 0.0])


def test_a_blocked_distributor_is_told_by_its_strokes_where_no_axis_is_caught_moving() -> None:
    usual = learn(mill(4000, seed=1, changes={"lubrication_pressure": strokes(20.0)}))
    assert said(usual, {"lubrication_pressure": strokes(20.0)}) == {}
    assert list(said(usual, {"lubrication_pressure": strokes(27.0)})) == ["guide_lubrication"]


def test_spikes_and_an_offset_of_the_sensor_are_no_strokes() -> None:
    usual = learn(mill(4000, seed=1, changes={"lubrication_pressure": strokes(20.0)}))
    for lie in (now_and_then(40.0), always(7.0)):
        change: Change = lambda of, lie=lie: strokes(20.0)(of) + lie(of)  # noqa: E731
        assert "guide_lubrication" not in said(usual, {"lubrication_pressure": change})


def test_what_has_stopped_the_machine_by_its_own_alarm_is_urgent(baseline: Baseline) -> None:
    changes = SHOWS["coolant_filter"][1]
    running_on = diagnose(mill(ROWS, seed=2, changes=changes), baseline).findings[0]
    stopped = diagnose(alarmed(mill(ROWS, seed=2, changes=changes), "COOLANT PRESSURE LOW", ROWS - 3), baseline)
    assert (stopped.findings[0].fault, running_on.urgency != "now") == ("coolant_filter", True)
    assert stopped.findings[0].urgency == "now"


def flat_from(window: Window, name: str, row: int) -> Window:
    values = window.numbers[name].copy()
    values[row:] = values[row]
    return replace(window, numbers={**window.numbers, name: values})


def test_a_sensor_is_stuck_when_it_is_flat_while_the_machine_works(baseline: Baseline) -> None:
    report = diagnose(flat_from(mill(ROWS, seed=2), "coolant_flow", ROWS - 120), baseline)
    assert [(one.fault, one.component, one.level) for one in report.findings[:1]] == [
        ("sensor_stuck", "coolant_flow", "sensor")
    ]


def test_a_sensor_is_not_stuck_when_the_machine_stands(baseline: Baseline) -> None:
    window = mill(ROWS, seed=2)
    for name in ("coolant_flow", "tool_number"):
        window = flat_from(window, name, ROWS - 120)
    execution = window.texts["execution"].copy()
    execution[ROWS - 120 :] = "READY"
    report = diagnose(replace(window, texts={**window.texts, "execution": execution}), baseline)
    assert "sensor_stuck" not in {one.fault for one in report.findings}


def test_a_link_is_silent_when_nothing_at_all_changes(baseline: Baseline) -> None:
    window = mill(ROWS, seed=2)
    for name in window.numbers:
        window = flat_from(window, name, ROWS - 60)
    report = diagnose(window, baseline)
    assert report.findings[0].fault == "link_silent"
    assert all(one.level != "machine" for one in report.findings)


def test_a_link_loses_messages_when_all_readings_repeat_together(baseline: Baseline) -> None:
    window = mill(ROWS, seed=2)
    held = np.arange(ROWS) - (np.arange(ROWS) % 4 == 3)
    report = diagnose(
        replace(window, numbers={name: values[held] for name, values in window.numbers.items()}), baseline
    )
    assert report.findings[0].fault == "link_loss"


def test_every_rule_has_words_in_both_languages_and_is_tested_here() -> None:
    known = rules.load()
    alone = {
        "tool_breakage",
        "spindle_crash",
        "sensor_stuck",
        "link_silent",
        "link_loss",
        "link_delay",
        "spindle_bearing_inner",
    }
    machine_tools = {name for name, rule in known.items() if not rule.kinds or set(rule.kinds) & {"cnc", "grinder"}}
    assert machine_tools - alone == set(SHOWS) == set(MISSES)
    for name, rule in known.items():
        assert all(text.en and text.zh for text in (rule.component, rule.title, rule.explanation, rule.action)), name
        assert all(bool(text.en) == bool(text.zh) for text in (rule.spare_part, rule.safety)), name
