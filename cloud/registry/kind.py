"""Kinds of machines, as data: what each is called and drawn like, which of its signals say what, and with which words.

`kinds/<kind>.yaml` has what is special about a kind, `kinds/_any.yaml` what holds for every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from contract.model import Datatype, Value

Condition = Literal["running", "ready", "interrupted", "stopped", "unknown"]

MAX_KEY_SIGNALS: Final = 4
_FOLDER: Final = Path(__file__).parent / "kinds"
_ANY: Final = "_any"
_TELLING: Final = frozenset(Datatype) - {Datatype.FLOAT, Datatype.DOUBLE, Datatype.DATETIME}
_NO_NUMBER: Final = frozenset({Datatype.STRING, Datatype.BOOLEAN, Datatype.DATETIME})

Names = dict[str, str]
"""By language: en, zh."""


class Kind(BaseModel):
    """A kind of machine; the words of its states are in small letters with `_` between them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: Names
    icon: str
    key_signals: list[list[str]]
    state_signals: list[str]
    states: dict[Condition, dict[str, Names]]
    fault_states: frozenset[str]
    fault_signals: dict[str, frozenset[str]]
    alarm_signals: list[str]
    no_alarm: frozenset[str]

    @cached_property
    def conditions(self) -> Mapping[str, Condition]:
        """What the words of its state mean."""
        return {word: condition for condition, words in self.states.items() for word in words}

    def state_signal(self, signals: Iterable[tuple[str, Datatype]], stated: str | None = None) -> str | None:
        """Return the signal that tells the state: the `stated` one where it is there, else the first by name."""
        tells = dict(signals)
        if stated in tells:
            return stated
        by_name: dict[str, str] = {}
        for name, datatype in tells.items():
            if datatype in _TELLING:
                for key in (name.lower(), "/" + name.rsplit("/", 1)[-1].lower()):
                    by_name.setdefault(key, name)
        wanted = (key for name in self.state_signals for key in (name, "/" + name))
        return next((by_name[key] for key in wanted if key in by_name), None)

    def condition_of(self, text: str | None) -> Condition:
        """Return what the word of a state means; unknown for one that is not in the table, and for numbers."""
        return "unknown" if text is None else self.conditions.get(word(text), "unknown")

    def fault_of(self, read: Callable[[str], Value | None], state: str | None) -> str | None:
        """Return what is wrong: an alarm, the word of its state, or the signal that says it; None when nothing is."""
        for signal in self.alarm_signals:
            alarm = read(signal)
            if isinstance(alarm, str) and alarm.strip().lower() not in self.no_alarm:
                return alarm.strip()
        if state is not None and word(state) in self.fault_states:
            return state
        for signal, words in self.fault_signals.items():
            if (text_of(read(signal)) or "").lower() in words:
                return signal
        return None

    def key_signals_of(self, signals: Iterable[tuple[str, str]]) -> list[str]:
        """Return the few numbers to look at first: those of the kind, then the others in their order.

        At most one of each family: joint1_temperature and joint2_temperature are one.
        """
        numbers = [name for name, datatype in signals if datatype not in _NO_NUMBER]
        wanted = (
            next((name for name in numbers for one in names if fnmatchcase(name.lower(), one)), None)
            for names in self.key_signals
        )
        chosen: dict[str, str] = {}
        for name in (*wanted, *numbers):
            if name is not None:
                chosen.setdefault(re.sub(r"\d+", "#", name.lower()), name)
        return list(chosen.values())[:MAX_KEY_SIGNALS]


def text_of(value: Value | None) -> str | None:
    """Return a state as text; a whole number has no decimals, None (or an empty text) is no state."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value) or None


def word(text: str) -> str:
    """Return a text as the word of a state."""
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def _load() -> Mapping[str, Kind]:
    said = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted(_FOLDER.glob("*.yaml"))}
    common = said[_ANY]
    return {
        name: Kind.model_validate(common | own | {"states": _merged(common["states"], own.get("states", {}))})
        for name, own in said.items()
    }


def _merged(common: Mapping[str, Mapping[str, Names]], own: Mapping[str, Mapping[str, Names]]) -> dict[str, object]:
    """Return the words of a kind; one that it has itself means what it says there."""
    words = {word for each in own.values() for word in each}
    kept = {condition: {k: v for k, v in each.items() if k not in words} for condition, each in common.items()}
    return {condition: {**kept.get(condition, {}), **own.get(condition, {})} for condition in kept.keys() | own.keys()}


_LOADED: Final = _load()
ANY: Final = _LOADED[_ANY]
"""A machine of a kind that no file tells of."""
KINDS: Final = {name: kind for name, kind in _LOADED.items() if kind is not ANY}


def kind_of(name: str) -> Kind:
    """Return a kind by its name."""
    return KINDS.get(name, ANY)


@lru_cache(10_000)
def key_signals(kind: str, signals: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the few numbers to look at first, of names and datatypes; kept, as each look at the plant asks for all."""
    return kind_of(kind).key_signals_of(signals)
