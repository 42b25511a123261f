"""How a sink of the gateway is served: the store and the cloud alike."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """Times are monotonic seconds. `failing_since` is None while the sink takes what it gets."""

    moved: float = 0.0
    failing_since: float | None = None
    trouble: str = ""
    records: int = 0
    samples: int = 0
    posts: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    def answered(self, outcome: str) -> None:
        """Count a post and what came of it."""
        self.posts += 1
        self.answers[outcome] = self.answers.get(outcome, 0) + 1

    def fails(self, trouble: str, now_s: float) -> bool:
        """Take note of what is wrong; return whether that has just begun."""
        has_begun = self.failing_since is None
        if has_begun:
            self.failing_since = now_s
        self.trouble = trouble
        return has_begun

    def moves(self, now_s: float) -> float | None:
        """Take note that the sink took something; return for how long it had not, None when nothing was wrong."""
        failing_s = None if self.failing_since is None else now_s - self.failing_since
        self.moved, self.failing_since, self.trouble = now_s, None, ""
        return failing_s
