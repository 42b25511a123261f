"""A limit as series of text: `value@s` of the signal, `=word@s` of the state, `.@s` a second in which nothing comes.

What it says is `+@s` where the condition becomes active, `-@s` where it is cleared. Copy this for a detector of yours.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contract.block import Block, Header, pack
from contract.event import Event
from contract.model import Asset, Quality, Sample, Signal
from edge.detectors import detector_names, load
from edge.detectors.limit import Limit, Options, detector

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
SIGNALS = (Signal("temperature"), Signal("execution"))
ASSET = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=SIGNALS)


def limit(active: bool = False, **options: Any) -> Limit:
    entry = {"kind": "limit", "name": "hot", "signal": "temperature", "high": 80.0} | options
    return detector(Options.model_validate(entry), ASSET, frozenset({"hot"} if active else ()))


def run(under_test: Limit, series: str) -> str:
    said: list[Event] = []
    for word in series.split():
        what, _, at_s = word.partition("@")
        time_ns = START_NS + round(float(at_s) * SECOND_NS)
        said += under_test.update(sample(what, time_ns), [], time_ns).events
    return " ".join(text(event) for event in said)


def sample(what: str, time_ns: int) -> list[Sample]:
    if what == ".":
        return []
    if what.startswith("="):
        return [Sample("cnc-01", "execution", time_ns, what[1:])]
    quality = Quality.BAD if what.endswith("!") else Quality.GOOD
    value = None if what == "_" else float(what.rstrip("!"))
    return [Sample("cnc-01", "temperature", time_ns, value, quality)]


def text(event: Event) -> str:
    mark = {"active": "+", "cleared": "-"}[event.state]
    return f"{mark}@{(event.time_ns - START_NS) / SECOND_NS:g}"


def test_beyond_the_limit_it_is_active_and_at_the_limit_it_is_not() -> None:
    assert run(limit(), "79@0 80@1 80.5@2 90@3 80@4 81@5") == "+@2 -@4 +@5"


def test_a_low_limit_and_both() -> None:
    assert run(limit(high=None, low=10.0), "10@0 9@1 10@2") == "+@1 -@2"
    assert run(limit(low=10.0), "50@0 9@1 50@2 81@3 50@4") == "+@1 -@2 +@3 -@4"


def test_hysteresis_keeps_it_active_until_the_value_is_well_inside() -> None:
    assert run(limit(hysteresis=2.0), "81@0 79@1 81@2 78.5@3 78@4 79@5") == "+@0 -@4"
    assert run(limit(low=10.0, hysteresis=2.0), "9@0 11@1 12@2") == "+@0 -@2"


def test_a_state_is_the_same_word_in_any_case() -> None:
    assert run(limit(when=("active",)), "=READY@0 81@1 =ACTIVE@2 82@3") == "+@3"
    assert run(limit(when=("ACTIVE",)), "=Active@0 81@1") == "+@1"


def test_a_delay_begins_with_the_first_value_beyond_and_its_end_is_the_time_of_the_event() -> None:
    assert run(limit(delay_s=10), "81@0 82@5 83@9.9 84@11") == "+@10"
    assert run(limit(delay_s=10), "81@0 79@5 81@6 82@15 83@16") == "+@16"


def test_a_delay_ends_also_while_the_value_stands_still() -> None:
    assert run(limit(delay_s=10), "81@0 .@5 .@9 .@10.5 .@11 79@20") == "+@10 -@20"


def test_it_counts_in_the_states_of_when_alone() -> None:
    machining = limit(when=["ACTIVE"])
    assert run(machining, "90@0 =READY@1 90@2 =ACTIVE@3 91@4 =STOPPED@5 92@6 =ACTIVE@7 93@8") == "+@4 -@5 +@8"


def test_a_delay_does_not_go_on_in_another_state() -> None:
    assert run(limit(when=["ACTIVE"], delay_s=10), "=ACTIVE@0 90@1 =READY@5 .@20 =ACTIVE@21 90@22 90@33") == "+@32"


def test_the_state_is_that_of_the_machine_or_the_one_that_is_named() -> None:
    asset = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=SIGNALS, state="execution")
    entry = {"kind": "limit", "name": "hot", "signal": "temperature", "high": 80.0, "when": ["ACTIVE"]}
    assert run(detector(Options.model_validate(entry), asset, frozenset()), "=ACTIVE@0 90@1") == "+@1"
    other = Options.model_validate(entry | {"state": "mode"})
    assert run(detector(other, asset, frozenset()), "=ACTIVE@0 90@1") == ""


def test_what_has_no_usable_value_or_comes_late_says_nothing() -> None:
    assert run(limit(), "90!@0 _@1 79@10 90@5 79@11") == ""
    assert run(limit(), "90@0 _@1 20!@2 79@3") == "+@0 -@3"


def test_a_value_without_a_usable_time_counts_at_its_arrival() -> None:
    found = limit().update([Sample("cnc-01", "temperature", 0, 90.0)], [], START_NS)
    assert [text(event) for event in found.events] == ["+@0"]


def test_what_an_earlier_run_left_active_is_cleared_by_this_one_and_not_begun_again() -> None:
    assert run(limit(active=True), "90@0 91@1 70@2") == "-@2"
    assert run(limit(active=True, when=["ACTIVE"]), "70@0 =ACTIVE@1 70@2") == "-@2"


def test_an_event_says_what_it_stands_on() -> None:
    header = Header(id="b1", asset="cnc-01", sensor="vibration", start_ns=START_NS, rate_hz=2.0, count=2)
    block = Block(header=header, data=pack([1.0, 2.0]))
    shaking = limit(delay_s=1, severity=700, texts={"en": "hot", "zh": "过热"}, block="vibration")
    shaking.update([Sample("cnc-01", "temperature", START_NS, 81.0)], [block], START_NS)
    after_ns = START_NS + SECOND_NS
    [event] = shaking.update([Sample("cnc-01", "temperature", after_ns, 82.0)], [], after_ns).events
    assert (event.asset, event.name, event.condition, event.source) == ("cnc-01", "hot", "hot", "hot")
    assert (event.severity, event.texts) == (700, {"en": "hot", "zh": "过热"})
    assert event.values == {"signal": "temperature", "value": 82.0, "high": 80.0}
    signal, waveform = event.evidence
    assert (signal.signal, signal.start_ns, signal.end_ns) == ("temperature", START_NS, after_ns)
    assert (waveform.block, waveform.start_ns, waveform.end_ns) == ("b1", START_NS, after_ns)


def test_the_same_finding_has_the_same_id() -> None:
    ids = [
        limit().update([Sample("cnc-01", "temperature", START_NS, 81.0)], [], START_NS + later).events[0].id
        for later in (0, SECOND_NS)
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"high": None}, "state `high`, `low` or both"),
        ({"low": 79.0, "hysteresis": 1.0}, "more than twice the hysteresis"),
        ({"low": 85.0}, "more than twice the hysteresis"),
        ({"severity": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        limit(**options)


def test_it_is_found_by_its_name() -> None:
    assert load("limit").Options is Options


def test_a_condition_without_stated_texts_says_in_both_languages_what_it_means() -> None:
    [event] = limit().update([Sample("cnc-01", "temperature", START_NS, 81.0)], [], START_NS).events
    assert event.texts == {"en": "Beyond a limit", "zh": "超出限值"}


def test_each_detector_says_what_it_means_in_both_languages() -> None:
    for name in detector_names():
        assert load(name).Options.says.keys() == {"en", "zh"}, name  # type: ignore[attr-defined]
