"""The plant file that fits a factory: how the platform's edge reaches each machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from simulators.face import Face
from simulators.factory import Factory

_HEAD = "# Written by the simulators: how to reach the machines of the simulated factory.\n"


def describe(factory: Factory, shown_by: Sequence[Face]) -> dict[str, Any]:
    """Return the plant file as data; machines that speak Sparkplug themselves are not in it."""
    areas: dict[str, Any] = {}
    for face in shown_by:
        for shown in face.shown:
            entry = face.entry(shown)
            if entry is None:
                continue
            area, line = shown.place.area, shown.place.line
            body = areas.setdefault(area, {"names": dict(factory.names.get((area,), {})), "lines": {}})
            lines = body["lines"].setdefault(line, {"names": dict(factory.names.get((area, line), {})), "machines": {}})
            lines["machines"][shown.machine.id] = entry
    return {"enterprise": factory.enterprise, "site": factory.site, "areas": areas}


def write(path: Path, factory: Factory, shown_by: Sequence[Face]) -> None:
    """Write the plant file, whole or not at all."""
    text = yaml.dump(describe(factory, shown_by), allow_unicode=True, sort_keys=False, width=160)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(_HEAD + text, encoding="utf-8")
    draft.replace(path)
