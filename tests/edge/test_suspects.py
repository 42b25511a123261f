"""Who is suspected of making a broker end the connection, and who is convicted."""

from __future__ import annotations

from edge.suspects import Suspects


def cuts(suspects: Suspects, now_s: float, **on_way: int) -> int | None:
    """Send these messages (`n7=100`: number 7 of 100 bytes), and cut the connection."""
    for name, size in on_way.items():
        suspects.sent(int(name[1:]), size)
    return suspects.cut(now_s)


def test_the_largest_on_the_way_is_held_back_after_three_cuts() -> None:
    suspects = Suspects()
    for now_s in range(3):
        assert not suspects.holds(7)
        assert cuts(suspects, now_s, n6=10, n7=100, n8=20) is None
    assert (suspects.holds(7), suspects.holds(6), suspects.holds(8)) == (True, False, False)
    assert suspects.turn(16.0) is None


def test_it_is_tried_alone_and_guilty_after_three_cuts_more() -> None:
    suspects = Suspects()
    for now_s in range(3):
        cuts(suspects, now_s, n7=100)
    for now_s in (20.0, 40.0, 60.0):
        suspects.sent(9, 5)
        assert suspects.turn(now_s) == 0  # the others first
        suspects.acknowledged([(9, 9)])
        assert suspects.turn(now_s) == 7
        assert suspects.turn(now_s + 1) == 0
        guilty = suspects.cut(now_s + 1)
    assert guilty == 7
    assert not suspects.holds(7)


def test_a_message_that_arrives_or_lives_alone_is_innocent() -> None:
    for is_acknowledged in (True, False):
        suspects = Suspects()
        for now_s in range(3):
            cuts(suspects, now_s, n7=100)
        assert suspects.turn(20.0) == 7
        suspects.sent(7, 100)
        if is_acknowledged:
            suspects.acknowledged([(1, 1 << 40)])
        assert suspects.turn(26.0) is None
        assert not suspects.holds(7)


def test_a_line_that_is_cut_without_it_convicts_nobody() -> None:
    suspects = Suspects()
    for now_s in range(3):
        cuts(suspects, now_s, n7=100)
    for now_s in (20.0, 60.0, 100.0, 140.0):
        assert suspects.turn(now_s) == 7
        assert suspects.cut(now_s + 1) is None
        assert cuts(suspects, now_s + 2, n8=10) is None
    assert suspects.holds(7)


def test_cuts_with_others_in_between_are_no_suspicion() -> None:
    suspects = Suspects()
    for now_s in range(9):
        cuts(suspects, now_s, **{f"n{7 + now_s % 2}": 100})
    assert not suspects.holds(7)
    assert not suspects.holds(8)
