"""From what a driver gives to what the plant file wants, and back for what is written: scale, unit, words for numbers.

Times, quality and status stay. Numbers are exact decimals: 235 · 0.1 is 23.5, whole numbers by a whole scale stay
whole.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

from contract.model import Sample, Value
from edge.entry import SignalEntry
from edge.notes import Notes

_SHOWN: Final = 20
_EXACT: Final = 2**53


class Conversion(Protocol):
    """How the values of one signal are converted."""

    def value(self, raw: Value) -> Value:
        """Return what a raw value of the source means."""

    def raw(self, value: Value) -> Value:
        """Return the raw value for one that is to be written; raise ValueError."""


class Linear:
    """value = raw · factor + offset, all of it exact until the last division."""

    def __init__(self, factor: Fraction, offset: Fraction) -> None:
        self._factor, self._offset = factor, offset
        self._below = math.lcm(factor.denominator, offset.denominator)
        self._times, self._plus = int(factor * self._below), int(offset * self._below)
        self._slope: tuple[float, float, float] = self._times, self._plus, self._below
        if max(map(abs, self._slope)) > _EXACT:
            self._slope = float(factor), float(offset), 1.0

    def value(self, raw: Value) -> Value:
        """Return a number in the unit of the signal, NaN for what is too large, a text that is no number as it is."""
        try:
            if isinstance(raw, str):
                raw = float(raw) if "_" not in raw else math.nan
            if isinstance(raw, float):
                times, plus, below = self._slope
                return (raw * times + plus) / below
            whole = raw * self._times + self._plus
            return whole if self._below == 1 else whole / self._below
        except ValueError:
            return raw
        except OverflowError:
            return math.nan

    def raw(self, value: Value) -> Value:
        """Return the number of the source, whole when it is."""
        try:
            raw = (Fraction(repr(value) if isinstance(value, float) else value) - self._offset) / self._factor
            return int(raw) if raw.denominator == 1 else float(raw)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{value!r:.80} is no number that the source can have") from error


class Words:
    """Texts for the numbers (or words) of the source; one that has none stays, as text, and is told."""

    def __init__(self, values: Mapping[str, str], tell: Callable[[Value], None]) -> None:
        self._tell = tell
        self._words: dict[Value, str] = {}
        for raw, word in values.items():
            self._words[raw] = word
            number = number_of(raw)
            if number is not None:
                self._words[number] = word
        self._raw = {word: raw if (number := number_of(raw)) is None else number for raw, word in values.items()}

    def value(self, raw: Value) -> Value:
        """Return the word for a value."""
        found = self._words.get(raw)
        if found is not None:
            return found
        self._tell(raw)
        if isinstance(raw, float) and raw.is_integer():
            return str(int(raw))
        return str(raw)

    def raw(self, value: Value) -> Value:
        """Return the value for a word."""
        if isinstance(value, str) and value in self._raw:
            return self._raw[value]
        words = list(self._raw)
        near = difflib.get_close_matches(str(value)[:80], words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"have: {', '.join(words[:_SHOWN])}"
        raise ValueError(f"{value!r:.80} is none of its values; {hint}")


@dataclass(frozen=True, slots=True)
class Conversions:
    """Those of a machine's signals that have any."""

    of: Mapping[str, Conversion]

    @classmethod
    def made(cls, signals: Mapping[str, SignalEntry], notes: Notes) -> Conversions:
        """Return the conversions of signals; `notes` is told of numbers without a word."""
        found = {name: _made(name, entry, notes) for name, entry in signals.items()}
        return cls({name: each for name, each in found.items() if each is not None})

    def converted(self, samples: list[Sample]) -> list[Sample]:
        """Return samples with converted values."""
        if not self.of:
            return samples
        return [
            sample
            if sample.value is None or (found := self.of.get(sample.signal)) is None
            else sample._replace(value=found.value(sample.value))
            for sample in samples
        ]

    def value(self, signal: str, raw: Value | None) -> Value | None:
        """Return what a raw value of a signal means."""
        return raw if raw is None or signal not in self.of else self.of[signal].value(raw)

    def raw(self, signal: str, value: Value) -> Value:
        """Return what a driver is to write; raise ValueError."""
        return self.of[signal].raw(value) if signal in self.of else value


def number_of(raw: str) -> Value | None:
    """Return the number, or truth, that the key of an enumeration is; None for a word."""
    if raw in ("true", "false"):
        return raw == "true"
    try:
        return int(raw, 16) if raw[:2].lower() == "0x" else int(raw)
    except ValueError:
        return None


def _made(name: str, entry: SignalEntry, notes: Notes) -> Conversion | None:
    if entry.values:

        def tell(raw: Value) -> None:
            notes.tell("no word", f"{name}: {raw!r:.80} is none of its `values`: it stays as it is", name)

        return Words(entry.values, tell)
    line = entry.line()
    return None if line is None else Linear(line.factor, line.offset)
