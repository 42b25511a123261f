"""The means of a value over steps of time of equal length: a value holds until the next one comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_MOST_STEPS: Final = 100  # that end at once; when more do, the clock has jumped, and it begins anew


class Step(NamedTuple):
    """A mean and the time at which its step ended."""

    end_ns: int
    mean: float


class Steps:
    """Constant memory, whatever the pace of the samples. Times are the source's, and never go back."""

    def __init__(self, step_s: float) -> None:
        self.step_ns = max(1, round(step_s * 1e9))
        self._value: float | None = None
        self._time_ns = 0
        self._end_ns = 0
        self._sum = 0.0

    def begin(self, time_ns: int, value: float | None = None) -> None:
        """Forget what was, and begin a step; `value` holds from here on."""
        self._value, self._time_ns, self._end_ns, self._sum = value, time_ns, time_ns + self.step_ns, 0.0

    def take(self, value: float | None, time_ns: int) -> Iterator[Step]:
        """Let a value hold from `time_ns` on; give the steps that have ended by then. None: nobody knows the value."""
        yield from self.pass_until(time_ns)
        if value is None or self._value is None:
            self.begin(max(time_ns, self._time_ns), value)
        self._value = value

    def pass_until(self, time_ns: int) -> Iterator[Step]:
        """Give the steps that have ended until a time, while the value was what it is."""
        if self._value is None or time_ns <= self._time_ns:
            return
        if time_ns - self._end_ns > _MOST_STEPS * self.step_ns:
            self.begin(time_ns, self._value)
            return
        while time_ns >= self._end_ns:
            self._sum += self._value * (self._end_ns - self._time_ns)
            ended = Step(self._end_ns, self._sum / self.step_ns)
            self._time_ns, self._end_ns, self._sum = self._end_ns, self._end_ns + self.step_ns, 0.0
            yield ended
        self._sum += self._value * (time_ns - self._time_ns)
        self._time_ns = time_ns
