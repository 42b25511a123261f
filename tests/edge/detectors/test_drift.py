"""A signal that leaves its usual value, as series of text (see series.py)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import ValidationError

from contract.model import Sample
from edge.detector import Detector
from edge.detectors.drift import Drift
from tests.edge.detectors.series import SECOND_NS, START_NS, each_second, events, made, run, samples

LEARNED_S = 100


def drift(**options: Any) -> Detector:
    entry = {"signal": "load", "learn_s": LEARNED_S, "step_s": 1, "settle_s": 0, "threshold": 20.0}
    return made("drift", **(entry | options))


def noise(count: int, mean: float = 50.0, seed: int = 1) -> list[float]:
    seeded = random.Random(seed)
    return [mean + seeded.gauss(0.0, 1.0) for _ in range(count)]


def test_what_keeps_its_usual_value_never_drifts() -> None:
    assert run(drift(), each_second(noise(20_000))) == ""


def test_a_shift_of_three_spreads_is_found_soon_and_ends_when_it_is_gone() -> None:
    series = each_second(noise(150) + noise(30, 53.0, 2) + noise(200, 50.0, 3))
    [begin, end] = run(drift(), series).split()
    assert begin[0] == "+" and 155 <= float(begin[2:]) <= 170
    assert end[0] == "-" and 180 <= float(end[2:]) <= 220


def test_it_may_be_for_one_side_alone() -> None:
    series = each_second(noise(150) + noise(50, 46.0, 2))
    assert run(drift(), series).startswith("+@")
    assert run(drift(side="down"), series).startswith("+@")
    assert run(drift(side="up"), series) == ""


def test_one_odd_value_is_no_drift() -> None:
    assert run(drift(), each_second([*noise(150), 5_000.0, *noise(100, 50.0, 2)])) == ""


def test_each_operating_state_has_its_own_usual_value() -> None:
    def cycles(count: int, start_s: int, machining: float = 50.0) -> str:
        return " ".join(
            f"=IDLE@{at} {each_second(noise(10, 5.0, i), at)} =ACTIVE@{at + 10} "
            f"{each_second(noise(10, machining, i), at + 10)}"
            for i, at in enumerate(range(start_s, start_s + 20 * count, 20))
        )

    assert run(drift(), cycles(60, 0)) == ""
    under_test = drift()
    assert run(under_test, cycles(20, 0)) == ""
    assert run(under_test, cycles(5, 400, machining=54.0)).startswith("+@4")


def test_what_follows_a_change_of_the_state_does_not_count_until_it_has_settled() -> None:
    def cycle(at: int) -> str:
        warming = [20.0] * 4 if at >= 600 else [50.0] * 4
        machining = each_second(warming + noise(6, 50.0, at), at + 10)
        return f"=IDLE@{at} {each_second([5.0] * 10, at)} =ACTIVE@{at + 10} {machining}"

    series = " ".join(map(cycle, range(0, 800, 20)))
    assert run(drift(settle_s=5, when=["ACTIVE"]), series) == ""
    assert run(drift(settle_s=0, when=["ACTIVE"]), series).startswith("+@61")


def test_the_statistic_is_a_feature() -> None:
    under_test = drift()
    found: list[Sample] = []
    for word in each_second(noise(105) + [60.0] * 3, 1).split():
        value, at_s = word.split("@")
        time_ns = START_NS + int(at_s) * SECOND_NS
        found += under_test.update(samples(value, time_ns), [], time_ns).samples
    assert {sample.signal for sample in found} == {"found_cusum"}
    assert len(found) == 7
    assert found[-1].value > 6.0  # type: ignore[operator]
    assert under_test._options.features({})[0].name == "found_cusum"  # type: ignore[attr-defined]


def test_a_signal_that_stood_still_while_it_was_learned_has_the_least_spread() -> None:
    series = each_second([50.0] * 120 + [50.1] * 60)  # the range is 100, a thousandth of it 0.1
    assert run(drift(), series) == ""
    assert run(drift(least=0.01), series).startswith("+@12")


def test_a_value_holds_while_others_of_the_machine_come() -> None:
    still = " ".join(f"#1@{second}" for second in range(1, 130))
    moved = " ".join(f"#1@{second}" for second in range(131, 160))
    assert run(drift(), f"50@0 {still} 60@130 {moved}").startswith("+@13")


def test_what_is_late_odd_or_not_usable_is_as_if_it_had_not_come() -> None:
    under_test = drift()
    run(under_test, each_second(noise(150)))
    for second in range(150, 200):
        now_ns = START_NS + second * SECOND_NS
        for sample in (
            Sample("cnc-01", "load", START_NS, 99.0),
            Sample("cnc-01", "load", now_ns, float("inf")),
            *samples("99!", now_ns),
            *samples("_", now_ns),
        ):
            assert under_test.update([sample], [], now_ns).events == []


def test_times_may_jump() -> None:
    assert run(drift(), f"{each_second(noise(150))} {each_second(noise(150), 1_000_000)}") == ""


def test_it_learns_anew_after_a_restart_and_clears_what_was_active() -> None:
    assert run(made("drift", active=True, signal="load", learn_s=100, step_s=1), each_second(noise(50, 90.0))) == "-@1"


def test_it_knows_no_more_operating_states_than_it_says() -> None:
    under_test = drift(by=["tool"])
    run(under_test, " ".join(f"#{tool}@{tool} 50@{tool}.5" for tool in range(1, 1_000)))
    assert isinstance(under_test, Drift)
    assert len(list(under_test._baselines)) <= 64


def test_an_event_says_what_was_usual_and_since_when_it_is_not() -> None:
    [event] = events(drift(), each_second(noise(150) + [56.0] * 10))
    assert event.values["signal"] == "load"
    assert event.values["usual"] == pytest.approx(50.0, abs=0.5)
    [evidence] = event.evidence
    assert START_NS + 140 * SECOND_NS <= evidence.start_ns <= START_NS + 151 * SECOND_NS
    assert evidence.end_ns == event.time_ns


def test_there_must_be_enough_to_learn_from() -> None:
    with pytest.raises(ValidationError, match="learn_s must be 10 times step_s"):
        drift(learn_s=30, step_s=10)
