"""The rules of a Sparkplug host application, on a clock that the test moves."""

from __future__ import annotations

from collections import Counter

import orjson
import pytest

from contract.topics import Node
from gateway.host import Gap, Host, Presence

LINE = Node("demo:shanghai:machining", "line1")
OTHER = Node("demo:shanghai:machining", "line2")


class Counts(Counter[tuple[Node, str]]):
    """Counts as the ledger takes them."""

    def count(self, node: Node, what: str, n: int = 1) -> None:  # type: ignore[override]
        self[node, what] += n


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def host(counts: Counts) -> Host:
    return Host(counts, reorder_s=2.0, rebirth_pause_s=5.0, rebirth_pause_max_s=20.0, prove_s=20.0)


def born(host: Host, node: Node = LINE, *, seq: int = 0, bdseq: int = 3, acknowledges: bool = False) -> None:
    host.node_birth(node, seq=seq, bdseq=bdseq, acknowledges=acknowledges, now=0.0)
    assert host.device_birth(node, "cnc-01", seq=seq + 1, now=0.0)


def data(host: Host, seq: int, *, now: float = 0.0, device: str = "cnc-01", named: bool = False) -> bool:
    return host.data(LINE, device, seq=seq, named=named, now=now)


def test_will_and_birth_of_state_carry_the_same_time() -> None:
    presence = Presence()
    will = orjson.loads(presence.will(1000))
    birth = orjson.loads(presence.birth())
    assert will == {"online": False, "timestamp": 1000}
    assert birth == {"online": True, "timestamp": 1000}


def test_each_connect_has_a_later_time_even_when_the_clock_stands() -> None:
    presence = Presence()
    presence.will(1000)
    assert orjson.loads(presence.will(1000))["timestamp"] == 1001
    presence.birth()
    assert orjson.loads(presence.death(5000)) == {"online": False, "timestamp": 5000}


def test_data_in_order_is_accepted_across_the_wrap(host: Host, counts: Counts) -> None:
    born(host)
    assert all(data(host, seq % 256) for seq in range(2, 600))
    assert host.tick(100.0).rebirth == []
    assert counts[LINE, "gaps"] == 0


def test_a_birth_may_begin_at_any_sequence_number(host: Host) -> None:
    born(host, seq=17)
    assert data(host, 19)
    assert host.tick(100.0) == ([], [], [])


def test_a_gap_asks_for_a_rebirth_only_after_the_reorder_time(host: Host, counts: Counts) -> None:
    born(host)
    assert data(host, 5, now=10.0)
    assert host.tick(11.9).rebirth == []
    assert host.tick(12.0).rebirth == [LINE]
    assert counts[LINE, "lost"] == 3
    assert counts[LINE, "gaps"] == 1


def test_messages_that_only_changed_places_close_the_gap(host: Host, counts: Counts) -> None:
    born(host)
    for seq in (4, 2, 3, 5):
        assert data(host, seq, now=10.0)
    assert host.tick(20.0).rebirth == []
    assert counts[LINE, "lost"] == 0


def test_a_gap_of_an_acknowledging_node_is_late_and_not_lost(host: Host, counts: Counts) -> None:
    born(host, acknowledges=True)
    data(host, 4, now=1.0)
    assert host.tick(3.0).rebirth == [LINE]
    assert (counts[LINE, "late"], counts[LINE, "lost"]) == (2, 0)


def test_a_message_delivered_twice_is_no_gap(host: Host, counts: Counts) -> None:
    born(host)
    data(host, 2)
    data(host, 2)
    data(host, 3)
    assert host.tick(100.0).rebirth == []
    assert counts[LINE, "bad_sequence"] == 1


def test_rebirth_requests_are_repeated_ever_more_rarely_until_the_birth(host: Host) -> None:
    assert not data(host, 9, now=0.0)
    asked = [now for now in range(100) if host.tick(float(now)).rebirth]
    assert asked == [0, 5, 15, 35, 55, 75, 95]
    born(host)
    assert host.tick(200.0).rebirth == []


def test_an_answer_begins_the_pauses_anew_even_when_it_could_not_be_kept(host: Host) -> None:
    assert not data(host, 9, now=0.0)
    assert [now for now in range(40) if host.tick(float(now)).rebirth] == [0, 5, 15, 35]
    host.forget(LINE, 36.0)
    assert not data(host, 9, now=36.0)
    assert [now for now in range(36, 60) if host.tick(float(now)).rebirth] == [41, 46, 56]
    host.node_birth(LINE, seq=0, bdseq=3, acknowledges=True, now=60.0)
    assert not data(host, 2, now=60.0)
    assert [now for now in range(60, 90) if host.tick(float(now)).rebirth] == [65, 70, 80]


def test_a_flood_before_the_birth_is_one_request(host: Host, counts: Counts) -> None:
    for _ in range(50):
        assert not data(host, 9, now=1.0)
        host.tick(1.0)
    assert counts[LINE, "rebirth_requests"] == 1
    assert counts[LINE, "before_birth"] == 50


def test_data_of_a_device_that_was_not_born_is_refused(host: Host) -> None:
    born(host)
    assert not data(host, 2, device="cnc-02")
    assert host.tick(1.0).rebirth == [LINE]


def test_named_backlog_needs_no_birth_in_this_session(host: Host) -> None:
    host.remember(LINE, acknowledges=True, devices=["cnc-01"])
    assert data(host, 7, named=True)
    assert not data(host, 8, named=False)
    assert not data(host, 9, named=True, device="never-seen")


def test_named_data_of_a_node_without_acknowledgement_needs_its_birth(host: Host) -> None:
    host.remember(LINE, acknowledges=False, devices=["cnc-01"])
    assert not data(host, 7, named=True)


def test_a_will_of_an_older_session_is_ignored(host: Host, counts: Counts) -> None:
    born(host, bdseq=4)
    assert not host.node_death(LINE, 3, 0.0)
    assert host.sessions[LINE].online
    assert counts[LINE, "stale_deaths"] == 1
    assert host.node_death(LINE, 4, 0.0)
    assert not host.sessions[LINE].online
    assert not host.node_death(LINE, 4, 0.0)


def test_after_a_death_data_needs_a_new_birth(host: Host) -> None:
    born(host)
    host.node_death(LINE, 3, 0.0)
    assert host.tick(1.0) == ([], [], [])
    assert not data(host, 2, now=2.0)
    assert host.tick(2.0).rebirth == [LINE]


def test_a_dead_device_needs_a_new_birth_and_the_node_lives_on(host: Host) -> None:
    born(host)
    assert host.device_death(LINE, "cnc-01", seq=2, now=0.0)
    assert not host.device_death(LINE, "cnc-01", seq=3, now=0.0)
    assert not data(host, 4)
    assert host.data(LINE, None, seq=5, named=False, now=0.0)


def test_after_a_reconnect_a_silent_node_is_asked_and_then_lost(host: Host) -> None:
    born(host)
    host.connected(100.0)
    assert host.tick(104.0) == ([], [], [])
    assert host.tick(105.0).rebirth == [LINE]
    assert host.tick(120.0).lost == [LINE]
    assert not host.sessions[LINE].online
    assert host.tick(500.0) == ([], [], [])


def test_after_a_reconnect_data_proves_that_a_node_lives(host: Host) -> None:
    born(host)
    born(host, OTHER)
    host.connected(100.0)
    data(host, 2, now=101.0)
    assert host.tick(106.0).rebirth == [OTHER]
    assert host.tick(121.0).lost == [OTHER]


def test_what_an_earlier_run_knew_is_asked_for_its_birth(host: Host) -> None:
    host.remember(LINE, acknowledges=True, devices=["cnc-01"])
    host.remember(OTHER, acknowledges=False, devices=["cnc-01"])
    host.connected(0.0)
    assert host.tick(0.0).rebirth == [OTHER]  # it does not watch for us
    host.node_birth(OTHER, seq=0, bdseq=3, acknowledges=False, now=1.0)
    assert host.tick(5.0).rebirth == [LINE]
    assert host.tick(20.0).lost == [LINE]


def test_an_impossible_sequence_number_is_counted_and_harmless(host: Host, counts: Counts) -> None:
    born(host)
    assert data(host, 256)
    assert host.data(LINE, "cnc-01", seq=None, named=False, now=0.0)
    assert counts[LINE, "bad_sequence"] == 2


def test_what_never_came_is_told_with_its_numbers_also_when_the_node_dies_or_is_born_again(
    host: Host, counts: Counts
) -> None:
    born(host)
    data(host, 4, now=1.0)
    assert host.tick(2.0).gaps == []
    assert host.tick(3.0).gaps == [Gap(LINE, 2, 3, 2, 1.0)]
    data(host, 7, now=4.0)
    assert host.node_death(LINE, 3, 0.0)
    assert host.tick(4.1).gaps == [Gap(LINE, 5, 6, 2, 4.0)]
    born(host)
    data(host, 200, now=5.0)
    born(host)
    assert host.tick(5.1).gaps == [Gap(LINE, 2, 199, 198, 5.0)]
    assert counts[LINE, "lost"] == 202


def test_of_a_node_that_sends_again_nothing_is_lost(host: Host) -> None:
    born(host, acknowledges=True)
    data(host, 4, now=1.0)
    assert host.tick(3.0).gaps == []


def test_f5_a_death_of_another_number_makes_a_node_prove_that_it_lives(host: Host, counts: Counts) -> None:
    born(host, bdseq=5)
    born(host, OTHER, bdseq=5)
    for node in (LINE, OTHER):
        assert not host.node_death(node, 4, 10.0)
    data(host, 2, now=11.0)
    assert host.tick(16.0).rebirth == [OTHER]  # it may be quiet
    assert host.tick(30.0).lost == [OTHER]
    assert host.sessions[LINE].online
    assert host.sessions[LINE].doubt == ""
    assert host.sessions[OTHER].doubt == "its NDEATH has bdSeq 4, its NBIRTH had 5, and nothing came after it"
