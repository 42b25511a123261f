"""What the world's checker must not overlook, and that each row of odd inputs can be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from contract.model import TIME_REPLACED, Quality
from shopfloor.chaos.checker import Finding, Verdict
from shopfloor.chaos.odd import (
    Device,
    Message,
    Moment,
    N,
    OnMqtt,
    OnMtconnect,
    OnOpcua,
    OnSparkplug,
    Row,
    Said,
    Want,
    Word,
    filled,
)
from shopfloor.chaos.words import Kept, Sample, check, check_put_backs
from shopfloor.chaos.world import ROWS

GOOD, REPLACED = Quality.GOOD, Quality.GOOD | TIME_REPLACED
S = 1_000_000_000
MOMENT = Moment(10, 7_000)
OWN = Sample(7 * S, 10.0, GOOD, 0)
LATER = Sample(8 * S, 11.0, REPLACED, 0)
WANTS = (Want("v", N(), ms=0), Want("v", N(1), REPLACED))
ROW = OnMqtt("a", WANTS, (Word("ledger", "source_time"),))
NODES = Counter({("forming/line1", "identity"): 5, ("forming/line1", "edge_spool"): 1})
TOLD = Counter({("a", "source_time"): 1})


def findings(stored: Sequence[Sample], losses: Counter[tuple[str, str]] = TOLD, row: Row = ROW) -> list[Finding]:
    verdict = Verdict()
    kept = Kept({("a", "v"): stored}, losses, [("a", "rounded_total")], [("world/a", "no datatype 99")], NODES)
    times = check([Said(row, MOMENT, 8 * S)], kept, verdict)
    assert times == {row.name: 1}
    return verdict.findings


def test_what_is_as_it_must_be_is_right() -> None:
    assert findings([LATER, OWN]) == []


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        ([OWN], ["lost"]),
        ([OWN, LATER, LATER], ["alien"]),
        ([OWN._replace(time_ns=7 * S + 1), LATER], ["lost", "alien"]),
        ([OWN._replace(value=12.0), LATER], ["lost", "alien"]),
        ([OWN._replace(quality=REPLACED), LATER], ["lost", "alien"]),
        ([OWN._replace(status=1), LATER], ["lost", "alien"]),
        ([OWN, LATER._replace(time_ns=6 * S)], ["lost", "alien"]),
        ([OWN, LATER._replace(time_ns=90 * S)], ["lost", "alien"]),
    ],
)
def test_each_odd_sample_that_is_otherwise_is_found(stored: list[Sample], wrong: list[str]) -> None:
    assert [finding.what for finding in findings(stored)] == wrong


def test_a_boolean_is_no_number() -> None:
    row = OnMqtt("a", (Want("v", True, ms=0),))
    assert findings([Sample(7 * S, True, GOOD, 0)], row=row) == []
    assert len(findings([Sample(7 * S, 1.0, GOOD, 0)], row=row)) == 2


@pytest.mark.parametrize("told", [0, 2])
def test_what_the_ledger_does_not_tell_or_tells_twice_is_found(told: int) -> None:
    losses = Counter({("a", "source_time"): told})
    assert [finding.what for finding in findings([OWN, LATER], losses)] == ["untold"]


def test_what_a_server_holds_may_be_told_again() -> None:
    row = OnOpcua("a", (), ROW.words)
    assert findings([], Counter({("a", "source_time"): 2}), row) == []
    assert [finding.what for finding in findings([], Counter(), row)] == ["untold"]


@pytest.mark.parametrize(("counter", "wrong"), [("rounded_total", []), ("misfits_total", ["untold"])])
def test_what_health_does_not_count_is_found(counter: str, wrong: list[str]) -> None:
    row = OnMqtt("a", (), (Word("health", counter),))
    assert [finding.what for finding in findings([], row=row)] == wrong


def test_what_is_not_in_quarantine_is_found() -> None:
    row = OnSparkplug("a", (), (Word("quarantine", "datatype 99"),))
    assert findings([], row=row) == []
    elsewhere = OnSparkplug("a", (), row.words, devices=(Device("world", "b", "a"),))
    assert [finding.what for finding in findings([], row=elsewhere)] == ["untold"]


@pytest.mark.parametrize(("times", "wrong"), [(5, []), (6, ["untold"])])
def test_f2_what_the_ledger_of_the_edge_node_does_not_tell_is_found(times: int, wrong: list[str]) -> None:
    row = OnMqtt("a", (), (Word("node", "identity", times),))
    assert [finding.what for finding in findings([], row=row)] == wrong


@pytest.mark.parametrize(("line", "times", "wrong"), [("line1", 1, 0), ("line1", 2, 1), ("line2", 1, 1)])
def test_f1_a_spool_that_was_put_back_without_a_word_is_found(line: str, times: int, wrong: int) -> None:
    verdict = Verdict()
    check_put_backs([f"forming/{line}"], times, Kept({}, TOLD, (), (), NODES), verdict)
    assert verdict.wrong["untold"] == wrong


def test_a_message_is_of_its_moment() -> None:
    message = Message(b'{"n":<n>,"m":<n+3>,"ts":<ms-500>,"s":<s>,"iso":"<iso+500>"}')
    assert message.at(Moment(10, 1_700_000_000_123)) == (
        b'{"n":10,"m":13,"ts":1699999999623,"s":1700000000.123,"iso":"2023-11-14T22:13:20.623"}'
    )


def test_names_of_rows_are_names_of_machines() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_expects_something_and_can_be_said(row: Row) -> None:
    assert row.wants or row.words
    for moment in (Moment(10, 1_796_036_000_000), Moment(20, 1_796_036_000_005)):
        match row:
            case OnMqtt():
                assert all(message.at(moment) for message in row.messages)
            case OnOpcua():
                assert row.value(moment).Value is not None
            case OnMtconnect():
                assert all(filled(each.value, moment).isdigit() for each in row.observations)
                assert row.observations[-1].stamp is not None
            case OnSparkplug():
                assert row.birth(moment)
                assert all(row.data(moment))
