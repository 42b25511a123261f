"""When the cloud subscribes again."""

from __future__ import annotations

from cloud.live.again import Again


def test_once_after_each_connection() -> None:
    again = Again(2.0)
    assert (again.wait_s(0.0), again.is_due(0.0)) == (None, False)
    again.connected(10.0)
    assert (again.wait_s(10.5), again.is_due(10.5)) == (1.5, False)
    assert again.is_due(12.0)
    assert again.wait_s(12.0) is None


def test_ever_more_seldom_while_an_asset_has_not_said_what_it_is() -> None:
    again = Again(2.0)
    again.connected(0.0)
    again.announced("cnc-01")
    again.heard("cnc-01", 1.0)
    again.heard("cnc-02", 1.0)
    due = [second for second in range(200) if again.is_due(float(second))]
    assert due == [2, 6, 14, 30, 62, 122, 182]
    again.announced("cnc-02")
    assert again.is_due(300.0)
    again.heard("cnc-02", 301.0)
    assert again.wait_s(301.0) is None


def test_an_asset_that_appears_later_is_asked_for_too() -> None:
    again = Again(2.0)
    again.connected(0.0)
    assert again.is_due(2.0)
    again.heard("cnc-03", 100.0)
    assert again.wait_s(100.0) == 4.0
