"""A signal that changes too fast, as series of text (see series.py)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contract.model import Sample
from edge.detector import Detector
from tests.edge.detectors.series import SECOND_NS, START_NS, each_second, events, made, run


def rate(**options: Any) -> Detector:
    return made("rate", **({"signal": "load", "rise": 6.0, "over_s": 12} | options))


def test_a_rise_beyond_the_limit_is_a_condition_until_it_is_slower() -> None:
    slow = [0.4 * second for second in range(60)]  # 4.8 in 12 s
    assert run(rate(), each_second(slow)) == ""
    fast = [0.6 * min(second, 30) for second in range(60)]  # 7.2 in 12 s
    assert run(rate(), each_second(fast)) == "+@12 -@36"


def test_a_fall_has_a_limit_of_its_own() -> None:
    falling = [100.0 - second for second in range(40)]
    assert run(rate(), each_second(falling)) == ""
    assert run(rate(rise=None, fall=6.0), each_second(falling)) == "+@12"


def test_neither_noise_nor_one_odd_value_is_a_change() -> None:
    noisy = [50.0 + (-1) ** second for second in range(60)]
    noisy[30] += 8.0
    assert run(rate(), each_second(noisy)) == ""


def test_it_must_last_for_the_delay() -> None:
    ramp = [second if second < 25 else 25.0 for second in range(60)]
    assert run(rate(delay_s=5), each_second(ramp)) == "+@17 -@33"
    assert run(rate(delay_s=30), each_second(ramp)) == ""


def test_with_the_operating_state_the_time_begins_anew() -> None:
    jump = "=IDLE@0 " + each_second([10.0] * 20, 1) + " =ACTIVE@21 " + each_second([60.0] * 30, 21)
    assert run(rate(), jump) == ""
    tool = "#1@0 " + each_second([10.0] * 20, 1) + " #2@21 " + each_second([60.0] * 30, 21)
    assert run(rate(by=["tool"]), tool) == ""
    assert run(rate(), tool) != ""


def test_it_counts_in_the_states_of_when_alone_and_ends_with_them() -> None:
    ramp = [2.0 * second for second in range(20)]
    active = rate(when=["ACTIVE"])
    assert run(active, "=IDLE@0 " + each_second(ramp, 1)) == ""
    assert run(active, "=ACTIVE@21 " + each_second(ramp, 22) + " =IDLE@42") == "+@34 -@42"


def test_a_value_that_stands_still_holds_while_others_come() -> None:
    standing = "10@0 " + " ".join(f"=ACTIVE@{second}" for second in range(1, 30)) + " 70@30 =ACTIVE@31 =ACTIVE@32"
    assert run(rate(), standing) == "+@31"


def test_what_is_late_odd_or_not_usable_is_as_if_it_had_not_come() -> None:
    series = each_second([10.0] * 15)
    assert run(rate(), series + " 90!@15 _@16 10@17 10@18") == ""
    under_test = rate()
    run(under_test, series)
    later_ns = START_NS + 15 * SECOND_NS
    for time_ns, value in ((START_NS, 95.0), (later_ns, float("nan")), (later_ns, 10.0)):
        assert under_test.update([Sample("cnc-01", "load", time_ns, value)], [], later_ns).events == []


def test_times_may_jump() -> None:
    assert run(rate(), each_second([10.0] * 20) + " " + each_second([90.0] * 30, 5_000)) == ""


def test_what_an_earlier_run_left_active_is_cleared_when_the_change_is_known() -> None:
    assert run(made("rate", active=True, signal="load", rise=6.0, over_s=12), each_second([10.0] * 20)) == "-@12"


def test_an_event_says_the_change_and_its_time() -> None:
    [event] = events(rate(), each_second([float(second) for second in range(15)]))
    assert event.values == {"signal": "load", "change": pytest.approx(12.0), "over_s": 12.0}
    [evidence] = event.evidence
    assert (evidence.signal, evidence.start_ns, evidence.end_ns) == ("load", START_NS, START_NS + 12 * SECOND_NS)


@pytest.mark.parametrize(
    ("options", "problem"), [({"rise": None}, "`rise`, `fall` or both"), ({"rise": 0}, "greater than 0")]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        rate(**options)
