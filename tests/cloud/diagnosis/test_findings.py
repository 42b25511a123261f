"""Findings open, are seen again, and end; never two of one fault at once."""

from __future__ import annotations

from cloud.diagnosis import findings
from cloud.diagnosis.finding import Report
from cloud.diagnosis.tables import FindingRow
from cloud.parts import Parts
from tests.cloud.chain.bring import NOON_NS
from tests.cloud.diagnosis.said import COMPUTED, report, suspicion

MINUTE_NS = 60 * 10**9


def told(parts: Parts, *reports: Report) -> list[FindingRow]:
    """Take reports, each in a session of its own as after a restart; return all findings, the oldest first."""
    for each in reports:
        with parts.sessions.begin() as db:
            findings.take(db, each, COMPUTED)
    with parts.sessions() as db:
        found, more = findings.find(db, findings.Asked(), "", 100)
        assert more == ""
        return found[::-1]


def test_a_finding_opens_is_told_again_and_ends(parts: Parts) -> None:
    (row,) = told(parts, report(suspicion(0.8)), report(suspicion(0.9), minute=2))
    assert (row.first_seen_ns, row.last_seen_ns, row.ended_ns) == (NOON_NS, NOON_NS + 2 * MINUTE_NS, None)
    assert row.confidence == 0.9
    (row,) = told(parts, report(minute=4))
    assert row.ended_ns is None
    (row,) = told(parts, report(minute=7))
    assert row.ended_ns == NOON_NS + 7 * MINUTE_NS
    assert [each.open_as is None for each in told(parts, report(suspicion(), minute=20))] == [True, False]


def test_what_is_not_sure_enough_opens_nothing_but_keeps_open_what_is(parts: Parts) -> None:
    assert told(parts, report(suspicion(0.4))) == []
    (row,) = told(parts, report(suspicion(0.6)), *(report(suspicion(0.4), minute=n) for n in range(1, 20)))
    assert row.ended_ns is None
    (row,) = told(parts, *(report(suspicion(0.2), minute=n) for n in range(20, 26)))
    assert row.ended_ns is not None


def test_a_fault_of_a_machine_that_stands_with_an_alarm_is_not_over(parts: Parts) -> None:
    told(parts, report(suspicion(), suspicion(0.7, "sensor_stuck", level="sensor", component="feed")))
    with parts.sessions.begin() as db:
        findings.see(db, report(minute=60), NOON_NS + 60 * MINUTE_NS)
    machine, sensor = sorted(told(parts), key=lambda row: row.level)
    assert (machine.ended_ns, sensor.ended_ns) == (None, NOON_NS + 60 * MINUTE_NS)
    with parts.sessions.begin() as db:
        findings.see(db, report(minute=64), NOON_NS + 60 * MINUTE_NS)  # repaired, it runs again
        assert len(findings.open_of(db, "cnc-01")) == 1
        findings.see(db, report(minute=65), NOON_NS + 60 * MINUTE_NS)
        assert findings.open_of(db, "cnc-01") == {}


def test_a_look_without_a_verdict_ends_nothing(parts: Parts) -> None:
    (row,) = told(parts, report(suspicion()), report(minute=60, abstained="no_data"))
    assert row.ended_ns is None


def test_an_older_report_changes_nothing_of_a_newer_one(parts: Parts) -> None:
    (row,) = told(parts, report(suspicion(0.9), minute=2), report(suspicion(0.6), minute=1))
    assert (row.confidence, row.end_ns) == (0.9, NOON_NS + 2 * MINUTE_NS)


def test_to_see_it_again_leaves_what_it_was_computed_from(parts: Parts) -> None:
    told(parts, report(suspicion(0.8)))
    with parts.sessions.begin() as db:
        findings.see(db, report(suspicion(0.81), minute=3))
    (row,) = told(parts)
    assert (row.confidence, row.end_ns, row.last_seen_ns) == (0.8, NOON_NS, NOON_NS + 3 * MINUTE_NS)


def test_two_faults_are_two_findings_and_each_tells_of_the_other(parts: Parts) -> None:
    other = suspicion(0.55, "sensor_stuck", level="sensor", component="feed")
    rows = told(parts, report(suspicion(0.8), other))
    assert {row.fault: [each["fault"] for each in row.others] for row in rows} == {
        "coolant_filter": ["sensor_stuck"],
        "sensor_stuck": ["coolant_filter"],
    }


def test_of_an_asset_that_has_gone_no_finding_stays_open(parts: Parts) -> None:
    told(parts, report(suspicion()))
    with parts.sessions.begin() as db:
        findings.end_others(db, {"cnc-02"}, NOON_NS + MINUTE_NS)
    (row,) = told(parts)
    assert row.ended_ns == NOON_NS + MINUTE_NS


def test_old_findings_go_when_they_have_ended(parts: Parts) -> None:
    told(parts, report(suspicion(fault="a")), report(minute=9), report(suspicion(fault="b"), minute=20))
    with parts.sessions.begin() as db:
        findings.forget(db, NOON_NS + 60 * MINUTE_NS)
    assert [row.fault for row in told(parts)] == ["b"]


def test_there_are_never_more_findings_than_the_limit(parts: Parts, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(findings, "MOST_FINDINGS", 2)
    for n in range(4):
        told(parts, report(suspicion(fault=f"f{n}"), minute=20 * n), report(minute=20 * n + 10))
    with parts.sessions.begin() as db:
        findings.forget(db, None)
    assert [row.fault for row in told(parts)] == ["f2", "f3"]
