"""The checker of events, blocks and commands: what it must not overlook, and what it must not cry about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shopfloor.chaos.checker import Outage, Verdict
from shopfloor.chaos.deeds import Deed, Deeds, Fault, Measured, Told, crossings, losses, read_said
from shopfloor.chaos.store import SECOND_NS, iso
from simulators.emitted import Emitted

START_NS = 1_700_000_000 * SECOND_NS
ALARM = Told("cnc-01", "cabinet_temperature", START_NS + 5 * SECOND_NS, "active", 400, "above 50")
BLOCK = Measured("cnc-01", "spindle", START_NS + 5 * SECOND_NS, "aa")
HOUR_NS = 3600 * SECOND_NS


def at(second: float) -> int:
    return START_NS + round(second * SECOND_NS)


def outage(first: float, last: float, why: str = "kill", *, only_moves: bool = False) -> Outage:
    return Outage(why, frozenset(("cnc-01",)), at(first), at(last), only_moves)


def deeds(*outages: Outage) -> tuple[Verdict, Deeds]:
    verdict = Verdict()
    return verdict, Deeds(verdict, outages, START_NS, at(60))


def command(state: str, value: float = 80.0, expires: float = 10, **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{value}",
        "asset": "cnc-01",
        "do": {"verb": "write", "signal": "feed_override", "value": value},
        "state": state,
        "reason": "",
        "created": iso(at(5)),
        "expires": iso(at(expires)),
        "steps": [],
        **more,
    }


def carried_out(second: float, value: float = 80.0) -> Deed:
    return Deed("cnc-01", "feed_override", value, at(second))


@pytest.mark.parametrize(
    ("kept", "wrong"),
    [
        ([ALARM], {}),
        ([], {"lost": 1}),
        ([ALARM, ALARM], {"doubled": 1}),
        ([ALARM._replace(severity=700)], {"altered": 1}),
        ([ALARM, ALARM._replace(time_ns=at(7))], {"alien": 1}),
        ([ALARM, ALARM._replace(time_ns=at(7) - HOUR_NS)], {"alien": 1}),
    ],
)
def test_each_wrong_event_is_found(kept: list[Told], wrong: dict[str, int]) -> None:
    verdict, checked = deeds()
    checked.check_events([ALARM], [(event, False) for event in kept])
    assert verdict.wrong == wrong


def test_an_outage_explains_a_missing_event_of_its_time_and_one_that_is_told_at_the_return() -> None:
    again = ALARM._replace(time_ns=at(7) - HOUR_NS, state="cleared")
    verdict, checked = deeds(outage(4, 8, only_moves=True))
    checked.check_events([ALARM], [(again, True)])
    assert (verdict.wrong, checked.counts) == ({}, {"events explained": 1})
    verdict, checked = deeds(outage(6, 8))
    checked.check_events([ALARM], [])
    assert verdict.wrong == {"lost": 1}


@pytest.mark.parametrize(
    ("kept", "wrong"),
    [
        ([BLOCK], {}),
        ([], {"lost": 1}),
        ([BLOCK, BLOCK], {"doubled": 1}),
        ([BLOCK._replace(sha256="bb")], {"lost": 1, "altered": 1}),
    ],
)
def test_each_wrong_block_is_found(kept: list[Measured], wrong: dict[str, int]) -> None:
    verdict, checked = deeds()
    checked.check_blocks([BLOCK], kept, {"cnc-01"})
    assert verdict.wrong == wrong


def test_a_machine_that_starts_anew_may_measure_the_same_again() -> None:
    again = BLOCK._replace(start_ns=at(7))
    for kept, wrong in (([BLOCK, again], {}), ([again], {"lost": 1}), ([BLOCK, again, again], {"doubled": 1})):
        verdict, checked = deeds()
        checked.check_blocks([BLOCK, again], kept, {"cnc-01"})
        assert verdict.wrong == wrong


def test_a_block_that_is_sent_on_request_may_stay_away_until_an_edge_says_that_it_is_sent() -> None:
    verdict, checked = deeds()
    checked.check_blocks([BLOCK], [], {"cnc-02"})
    assert not verdict.wrong
    ask = {"verb": "send_block", "sensor": "spindle", "start_ns": BLOCK.start_ns, "end_ns": BLOCK.start_ns + 1}
    replied = [{"time": iso(at(6))}]
    checked.check_requests([command("unknown", do=ask, steps=replied)], [])
    assert not verdict.wrong
    checked.check_requests([command("done", do=ask, steps=replied)], [BLOCK])
    assert not verdict.wrong
    checked.check_requests([command("done", do=ask, steps=replied)], [])
    assert verdict.wrong == {"lost": 1}


def test_what_the_ledger_says_is_lost_is_not_cried_about() -> None:
    entry = {"source": "cnc-01", "reason": "cloud_full", "outcome": "lost", "start": iso(at(4)), "end": iso(at(6))}
    told = losses({"sources": [{"entries": [entry, entry | {"outcome": "noted"}, entry | {"reason": "clock"}]}]})
    verdict, checked = deeds(*told)
    checked.check_events([ALARM], [])
    checked.check_blocks([BLOCK], [], {"cnc-01"})
    assert (len(told), verdict.wrong) == (1, {})


@pytest.mark.parametrize(
    ("state", "times", "wrong"),
    [
        ("done", [6], {}),
        ("done", [], {"false": 1}),
        ("done", [6, 7], {"doubled": 1}),
        ("done", [11], {"late": 1}),
        ("unknown", [], {}),
        ("unknown", [6], {}),
        ("unknown", [6, 7], {"doubled": 1}),
        ("unknown", [11], {"late": 1}),
        ("expired", [], {}),
        ("expired", [6], {"false": 1}),
        ("refused", [6], {"false": 1}),
        ("failed", [6], {"false": 1}),
        ("sent", [6], {"untold": 1}),
    ],
)
def test_a_write_was_carried_out_as_its_verdict_says(state: str, times: list[float], wrong: dict[str, int]) -> None:
    verdict, checked = deeds()
    done = [carried_out(second) for second in times]
    checked.check_writes([command(state)], done, {"id-80.0"}, [Fault(at(4), at(8))])
    assert verdict.wrong == wrong


def test_unknown_needs_a_fault_and_what_nobody_has_wished_is_alien() -> None:
    verdict, checked = deeds()
    checked.check_writes([command("unknown")], [carried_out(6, 81.0)], set(), [Fault(at(11), at(20))])
    assert verdict.wrong == {"untold": 1, "alien": 1}


def test_a_write_that_was_under_way_at_its_expiry_may_be_unknown() -> None:
    for second, wrong in ((10.01, {}), (9.9, {"untold": 1})):
        verdict, checked = deeds()
        replied = [{"step": "replied", "time": iso(at(second))}]
        checked.check_writes([command("unknown", steps=replied)], [carried_out(9)], set(), [])
        assert verdict.wrong == wrong


def test_what_was_on_the_wire_at_its_expiry_may_be_carried_out_a_moment_later() -> None:
    replied = [{"step": "replied", "time": iso(at(10))}]
    for state, second, wrong in (("unknown", 10.05, {}), ("unknown", 12, {"late": 1}), ("done", 10.05, {"late": 1})):
        verdict, checked = deeds()
        checked.check_writes([command(state, steps=replied)], [carried_out(second)], set(), [])
        assert verdict.wrong == wrong


def test_a_command_that_the_cloud_has_taken_is_there() -> None:
    verdict, checked = deeds()
    checked.check_writes([], [], {"id-80.0"}, [])
    assert verdict.wrong == {"lost": 1}


def test_what_the_line_held_back_was_sent_in_time() -> None:
    held, other = outage(8, 12, "machine-cut", only_moves=True), outage(8, 12, "stop", only_moves=True)
    for explains, why in ((True, held), (True, outage(8, 12, "stop")), (False, other)):
        verdict, checked = deeds(why)
        checked.check_writes([command("done")], [carried_out(11)], set(), [])
        assert verdict.wrong == ({} if explains else {"late": 1})


def test_what_a_limit_finds_in_all_samples() -> None:
    series = {at(n): value for n, value in enumerate((0.0, 81.0, 90.0, 75.0, 70.0, 79.0, 80.5))}
    found = crossings("press-01", "high", series, 80.0, 10.0, text="too high")
    assert [(event.time_ns, event.state) for event in found] == [
        (at(1), "active"),
        (at(4), "cleared"),
        (at(6), "active"),
    ]


def test_what_machines_say_of_themselves_is_read(tmp_path: Path) -> None:
    emitted = Emitted(tmp_path / "emitted.jsonl")
    emitted.write("cnc-01", 1, 5, {"speed": 1.5})
    emitted.write_event("cnc-01", 6, "hot", state="active", severity=400, text="über 50")
    emitted.write_command("cnc-01", 7, "feed_override", 80.5)
    emitted.close()
    with (tmp_path / "emitted.jsonl").open("a") as file:
        file.write('{"source": "cnc-01", "time_ns": 8, "values": {}, "event": {"name": "ho')
    said = read_said([tmp_path / "emitted.jsonl"])
    assert said.events == [Told("cnc-01", "hot", 6, "active", 400, "über 50")]
    assert said.deeds == [Deed("cnc-01", "feed_override", 80.5, 7)]
