"""How a driver makes an event of what a source says: what is too long for one is cut, and says so itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from contract.event import Event, State, event_id
from contract.model import Value

_MOST_NAME: Final = 200
_MOST_TEXT: Final = 2000
_MOST_VALUES: Final = 98  # two more say what is left out
_MOST_TEXTS: Final = 20

_T = TypeVar("_T")


def event(
    asset: str,
    name: str,
    time_ns: int,
    *,
    facts: Sequence[object],
    state: State = "",
    condition: str = "",
    severity: int = 1,
    texts: Mapping[str, str] | None = None,
    values: Mapping[str, Value] | None = None,
) -> Event:
    """Return the event of an asset; `facts` are what of it is the same whenever its source tells it again.

    A long text ends with how many characters it had, a long name with some that are made of all of it. Of very many
    values and texts some are left out; the values `values_left_out` and `texts_left_out` say how many.
    """
    kept_values = {key: cut(value) if isinstance(value, str) else value for key, value in _first(values, _MOST_VALUES)}
    kept_texts = {language: cut(text) for language, text in _first(texts, _MOST_TEXTS)}
    for what, kept, said in (("values", kept_values, values), ("texts", kept_texts, texts)):
        if said is not None and len(said) > len(kept):
            kept_values[f"{what}_left_out"] = len(said) - len(kept)
    return Event(
        id=event_id(asset, *facts),
        asset=asset,
        name=short(name) or "event",
        time_ns=min(max(0, time_ns), 2**63 - 1),
        state=state,
        condition=short(condition),
        severity=min(max(1, severity), 1000),
        texts=kept_texts,
        values=kept_values,
    )


def cut(text: str, most: int = _MOST_TEXT) -> str:
    """Return a text of at most `most` characters, all of them real ones; one that was longer says so at its end."""
    text = text.encode(errors="replace").decode()
    if len(text) <= most:
        return text
    word = f"… ({len(text)} characters)"
    return text[: most - len(word)] + word


def short(name: str) -> str:
    """Return a name of at most 200 characters; two that differ stay different."""
    name = name.encode(errors="replace").decode()
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 9]}…{event_id(name)[:8]}"


def _first(said: Mapping[str, _T] | None, most: int) -> Any:
    return islice((said or {}).items(), most)
