"""How long one waits before the next try."""

from __future__ import annotations

from contract.backoff import Backoff


def test_backoff_grows_to_its_bound_and_resets() -> None:
    backoff = Backoff(1.0, 8.0)
    waits = [backoff.next_s() for _ in range(100)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, [1, 2, 4] + [8] * 97, strict=True))
    backoff.reset()
    assert backoff.next_s() <= 1
