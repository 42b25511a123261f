"""What a machine itself says of how it stands at the end of a window: its alarm, and whether it runs."""

from __future__ import annotations

from typing import NamedTuple

from cloud.diagnosis.manipulation import last_part
from cloud.diagnosis.window import Window
from cloud.registry.kind import kind_of
from contract.model import Datatype, Value


class Standing(NamedTuple):
    """`alarm` is what the machine says is wrong, empty: nothing; `is_stopped`: it has an alarm and does not run."""

    alarm: str = ""
    is_stopped: bool = False


def standing_of(window: Window, state_signal: str | None = None) -> Standing:
    """Return how the machine stands; its state is told by `state_signal`, or by the one that its kind has."""
    newest: dict[str, Value | None] = {}
    for series in (window.numbers, window.texts):
        for name, values in series.items():
            value = values[-1] if len(values) else None
            newest[name] = newest[last_part(name)] = value if value is None or isinstance(value, str) else float(value)
    kind = kind_of(window.subject.kind)
    signal = kind.state_signal(((name, Datatype.STRING) for name in window.texts), state_signal)
    state = newest.get(signal or "")
    word = state if isinstance(state, str) else None
    alarm = kind.fault_of(newest.get, word)
    return Standing(alarm or "", alarm is not None and kind.condition_of(word) != "running")
