"""Single values far from those around them, as series of text (see series.py)."""

from __future__ import annotations

import random
from typing import Any

from contract.model import Sample
from edge.detector import Detector
from tests.edge.detectors.series import SECOND_NS, START_NS, each_second, events, made, run


def spike(**options: Any) -> Detector:
    return made("spike", **({"signal": "load", "within_s": 30} | options))


def noise(count: int, mean: float = 50.0) -> list[float]:
    seeded = random.Random(1)
    return [mean + seeded.gauss(0.0, 1.0) for _ in range(count)]


def with_spikes(*places: int, count: int = 60) -> list[float]:
    values = noise(count)
    for place in places:
        values[place] = 95.0
    return values


def test_one_value_far_from_its_neighbors_is_a_condition_for_a_time() -> None:
    assert run(spike(), each_second(with_spikes(20))) == "+@20 -@56"


def test_noise_is_none_and_neither_is_a_step_nor_a_ramp() -> None:
    assert run(spike(), each_second(noise(2_000))) == ""
    assert run(spike(), each_second(noise(50) + noise(50, 90.0))) == ""
    assert run(spike(), each_second([0.5 * second for second in range(100)])) == ""


def test_several_make_the_condition_when_they_come_within_the_time() -> None:
    assert run(spike(count=3), each_second(with_spikes(10, 20, 29))) == "+@29"
    assert run(spike(count=3), each_second(with_spikes(10, 25, 50, count=80))) == ""


def test_on_a_signal_that_stands_still_what_is_nearer_than_the_least_is_none() -> None:
    still = [5.0] * 40
    still[20] = 5.09  # the range is 100, a thousandth of it 0.1
    assert run(spike(), each_second(still)) == ""
    still[20] = 5.2
    assert run(spike(), each_second(still)) == "+@20"
    assert run(spike(least=0.5), each_second(still)) == ""


def test_what_stands_around_a_change_of_the_operating_state_is_not_looked_at() -> None:
    series = "#1@0 " + each_second(noise(20), 1) + " 95@21 #2@21.5 " + each_second(noise(30), 22)
    assert run(spike(by=["tool"]), series) == ""
    assert run(spike(), series) == "+@21"


def test_it_counts_in_the_states_of_when_alone_and_ends_with_them() -> None:
    values = each_second(with_spikes(10, count=20), 1)
    assert run(spike(when=["ACTIVE"]), "=IDLE@0 " + values) == ""
    assert run(spike(when=["ACTIVE"]), "=ACTIVE@0 " + values + " =IDLE@21") == "+@11 -@21"


def test_what_is_late_or_not_usable_is_as_if_it_had_not_come() -> None:
    assert run(spike(), each_second(noise(20)) + " 95!@20 _@21 " + each_second(noise(20), 22)) == ""
    under_test = spike()
    run(under_test, each_second(noise(20)))
    later_ns = START_NS + 20 * SECOND_NS
    under_test.update([Sample("cnc-01", "load", START_NS, 95.0)], [], later_ns)
    assert run(under_test, each_second(noise(20), 21)) == ""


def test_when_a_clock_was_set_back_its_values_count_after_a_minute() -> None:
    under_test = spike()
    run(under_test, each_second(noise(20), 10_000))
    late = []
    for second in range(120):
        value = 95.0 if second == 90 else 50.0 + second % 3
        now_ns = START_NS + (10_020 + second) * SECOND_NS
        late += under_test.update([Sample("cnc-01", "load", START_NS + second * SECOND_NS, value)], [], now_ns).events
    assert [event.time_ns for event in late] == [START_NS + 90 * SECOND_NS]


def test_what_an_earlier_run_left_active_is_cleared_after_the_time() -> None:
    assert run(made("spike", active=True, signal="load", within_s=30), each_second(noise(40))) == "-@31"


def test_an_event_says_what_was_usual() -> None:
    [event] = events(spike(), each_second(with_spikes(20, count=30)))
    assert event.values["value"] == 95.0
    usual = event.values["usual"]
    assert isinstance(usual, float)
    assert 47.0 < usual < 53.0
    [evidence] = event.evidence
    assert (evidence.start_ns, evidence.end_ns) == (START_NS + 15 * SECOND_NS, START_NS + 25 * SECOND_NS)
