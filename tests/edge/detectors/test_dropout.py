"""A signal that is missing, as series of text (see series.py); `#` stands for all else that the machine says."""

from __future__ import annotations

from typing import Any

from contract.model import Asset, Signal
from edge.detector import Detector
from tests.edge.detectors.series import SECOND_NS, START_NS, each_second, events, made, run, samples


def dropout(**options: Any) -> Detector:
    return made("dropout", **({"signal": "load", "factor": 5, "least_s": 5} | options))


def others(start_s: int, end_s: int) -> str:
    return " ".join(f"#1@{second}.5" for second in range(start_s, end_s))


def test_it_is_missing_after_several_of_its_usual_intervals_while_others_come() -> None:
    series = f"{each_second([5.0] * 20)} {others(20, 40)} 5@40 5@41"
    assert run(dropout(), series) == "+@24.5 -@40"


def test_what_comes_seldom_is_missed_later() -> None:
    seldom = " ".join(f"#1@{second} 5@{second}.5" if second % 4 == 0 else f"#1@{second}" for second in range(100))
    assert run(dropout(), seldom) == ""
    assert run(dropout(), f"{seldom} {others(100, 130)}") == "+@117.5"  # the last one came at 96.5


def test_while_nothing_of_the_machine_comes_it_is_the_line() -> None:
    silence = " ".join(f".@{second}" for second in range(20, 60))
    assert run(dropout(), f"{each_second([5.0] * 20)} {silence} 5@60") == ""


def test_the_only_signal_of_a_machine_is_missing_when_it_does_not_come() -> None:
    asset = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=(Signal("load"),))
    alone = made("dropout", asset, signal="load", factor=5, least_s=5)
    silence = " ".join(f".@{second}" for second in range(20, 40))
    assert run(alone, f"{each_second([5.0] * 20)} {silence}") == "+@25"


def test_a_time_may_be_stated() -> None:
    assert run(dropout(after_s=3), f"{each_second([5.0] * 3)} {others(3, 10)}") == "+@5.5"
    assert run(dropout(after_s=3), others(0, 10)) == "+@4.5"


def test_too_many_without_a_usable_value_are_a_condition_until_their_share_is_below_half() -> None:
    good, bad = ["5"] * 10, ["_", "5!"] * 2
    words = [*good, *bad, *good, *good]
    series = " ".join(f"{word}@{second}" for second, word in enumerate(words))
    assert run(dropout(last=10, share=0.25), series) == "+@12 -@22"


def test_single_ones_without_a_value_are_none() -> None:
    words = [("_" if second % 10 == 0 else "5") for second in range(200)]
    assert run(dropout(last=20), " ".join(f"{word}@{second}" for second, word in enumerate(words))) == ""


def test_it_counts_in_the_states_of_when_alone_and_ends_with_them() -> None:
    series = f"=ACTIVE@0 {each_second([5.0] * 20, 1)} {others(21, 40)} =IDLE@40 {others(41, 60)}"
    assert run(dropout(when=["ACTIVE"]), series) == "+@25.5 -@40"


def test_when_the_edge_was_away_the_signal_was_not_missing() -> None:
    assert run(dropout(), f"{each_second([5.0] * 20)} #1@500 5@501") == ""


def test_what_an_earlier_run_left_active_is_cleared_when_the_signal_comes() -> None:
    assert run(made("dropout", active=True, signal="load"), "#1@0 #1@1 5@2 5@3") == "-@2"


def test_the_share_is_a_feature_in_percent() -> None:
    under_test = dropout(last=10)
    found = []
    for second in range(25):
        time_ns = START_NS + second * SECOND_NS
        found += under_test.update(samples("_" if second % 2 else "5", time_ns), [], time_ns).samples
    assert (found[0].signal, found[0].value) == ("found_share", 0.0)
    assert found[-1].value == 50.0


def test_an_event_says_since_when_it_is_missing() -> None:
    [event] = events(dropout(), f"{each_second([5.0] * 20)} {others(20, 30)}")
    assert event.values == {"signal": "load", "share": 0.0, "silent_s": 5.5}
    [evidence] = event.evidence
    assert (evidence.start_ns, evidence.end_ns) == (START_NS + 19 * SECOND_NS, event.time_ns)
