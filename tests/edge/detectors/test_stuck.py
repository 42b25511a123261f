"""A signal that stands still, as series of text: `value@s`, `=word@s` of the state, `.@s` a second without anything."""

from __future__ import annotations

from typing import Any

from contract.event import Event
from contract.model import Asset, Sample, Signal
from edge.detectors.stuck import Options, Stuck, detector

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
ASSET = Asset("demo", "here", "machining", "line1", "cnc-01", "cnc", signals=(Signal("load"), Signal("execution")))


def stuck(active: bool = False, **options: Any) -> Stuck:
    entry = {"kind": "stuck", "name": "dead", "signal": "load", "after_s": 10} | options
    return detector(Options.model_validate(entry), ASSET, frozenset({"dead"} if active else ()))


def run(under_test: Stuck, series: str) -> str:
    said: list[Event] = []
    for word in series.split():
        what, _, at_s = word.partition("@")
        time_ns = START_NS + int(at_s) * SECOND_NS
        name, value = ("execution", what[1:]) if what.startswith("=") else ("load", what)
        samples = [] if what == "." else [Sample("cnc-01", name, time_ns, None if value == "_" else value)]
        said += under_test.update(samples, [], time_ns).events
    marks = {"active": "+", "cleared": "-"}
    return " ".join(f"{marks[event.state]}@{(event.time_ns - START_NS) // SECOND_NS}" for event in said)


def test_the_same_value_for_so_long_is_a_condition_until_another_comes() -> None:
    assert run(stuck(), "5@0 5@9 5@10 5@20 6@21 6@30 6@31") == "+@10 -@21 +@31"


def test_silence_is_as_the_same_value() -> None:
    assert run(stuck(), "5@0 .@9 .@10 .@11") == "+@10"
    assert run(stuck(), ".@0 .@30") == ""


def test_what_has_no_value_or_is_late_moves_nothing() -> None:
    assert run(stuck(), "5@5 _@9 .@15") == "+@15"
    late = stuck()
    assert run(late, "5@5") == ""
    said = late.update([Sample("cnc-01", "load", START_NS, 4.0)], [], START_NS + 15 * SECOND_NS).events
    assert [event.state for event in said] == ["active"]


def test_it_counts_in_its_states_alone_and_from_their_beginning() -> None:
    assert run(stuck(when=("ACTIVE",)), "5@0 =READY@1 .@30 =ACTIVE@31 .@40 .@41 =READY@50") == "+@41 -@50"
    assert run(stuck(when=("ACTIVE",)), "5@0 .@30") == ""


def test_a_condition_of_an_earlier_run_is_cleared_by_the_first_value() -> None:
    assert run(stuck(active=True), ".@1 5@2") == "-@2"


def test_the_evidence_is_the_signal_while_it_stood() -> None:
    [event] = stuck_for_ten_seconds()
    [evidence] = event.evidence
    assert (evidence.signal, evidence.start_ns, evidence.end_ns) == ("load", START_NS, START_NS + 10 * SECOND_NS)
    assert event.values == {"signal": "load", "value": 5.0}


def stuck_for_ten_seconds() -> list[Event]:
    under_test = stuck()
    under_test.update([Sample("cnc-01", "load", START_NS, 5.0)], [], START_NS)
    return list(under_test.update([], [], START_NS + 10 * SECOND_NS).events)
