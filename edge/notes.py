"""What is odd about a machine, to be logged once."""

from __future__ import annotations

from collections import Counter
from typing import Final

_MOST_KINDS: Final = 100
_MOST_OF_A_KIND: Final = 20


class Notes(dict[str, str]):
    """The first example of each kind of oddity, and of each thing that has it, in order; none is ever removed.

    At most 20 of a kind, so that none hides another, of at most 100 kinds.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: Counter[str] = Counter()

    def tell(self, kind: str, text: str, of: str = "") -> None:
        """Remember an example, unless there is one of this kind, of what `of` names: a signal, say."""
        key = f"{kind} of {of}" if of else kind
        if key in self or self._kinds[kind] >= _MOST_OF_A_KIND:
            return
        if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            return
        self._kinds[kind] += 1
        is_last = self._kinds[kind] == _MOST_OF_A_KIND
        self[key] = f"{text}; others like it are not logged" if is_last else text
