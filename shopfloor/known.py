"""Is what a user names there? If not, exit code 4 and the nearest name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from contract.model import Datatype
from shopfloor.api import Api
from shopfloor.clock import of_ms
from shopfloor.errors import RefusedError

MOST_SHOWN: Final = 20


class Kind(NamedTuple):
    """Unit and datatype of a signal, both empty when nobody announces it."""

    unit: str = ""
    datatype: str = ""

    def readable(self, value: object) -> object:
        """Return a value as people read it: a time as a time."""
        return of_ms(value) if self.datatype == Datatype.DATETIME else value


def check(what: str, names: Iterable[str], known: Collection[str], where: str = "") -> None:
    """Raise RefusedError for the first of the names that is not known, with the nearest one and the others."""
    for name in names:
        if name not in known:
            raise RefusedError(f"there is no {what} {name!r}{where}", nearest(name, known) or "there is none yet")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return which of the known names was probably meant, and the first of them; empty when there are none."""
    words = sorted(known)
    near = difflib.get_close_matches(name.strip("*"), words, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    more = f", and {len(words) - MOST_SHOWN} more" if len(words) > MOST_SHOWN else ""
    return f"{meant}have: {', '.join(words[:MOST_SHOWN])}{more}" if words else ""


def check_assets(api: Api, names: Sequence[str]) -> None:
    """Raise RefusedError for an asset that is neither announced nor stored."""
    if names:
        known = {asset["id"] for asset in api.get("assets")}
        if not known.issuperset(names):
            known.update(api.get("telemetry/series")["asset"])
        check("asset", names, known)


def check_signals(api: Api, asset: str, names: Sequence[str]) -> dict[str, Kind]:
    """Return the kinds of an asset's signals; raise RefusedError for one that is neither announced nor stored."""
    check_assets(api, [asset])
    known = kinds(api, asset)
    if not known.keys() >= set(names):
        known = dict.fromkeys(api.get("telemetry/series", [("asset", asset)])["signal"], Kind()) | known
    check("signal", names, known, f" of {asset}")
    return known


def check_pattern(api: Api, assets: Sequence[str], pattern: str) -> None:
    """Raise RefusedError when a pattern fits no signal of the assets (of all when there is none)."""
    names = set(api.get("telemetry/series", [("asset", asset) for asset in assets])["signal"])
    for asset in assets or [each["id"] for each in api.get("assets")]:
        names |= kinds(api, asset).keys()
    if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
        check("signal that fits", [pattern], names)


def kinds(api: Api, asset: str) -> dict[str, Kind]:
    """Return the kinds of the signals that an asset announces by name; nothing of one that is only stored."""
    try:
        return {each["name"]: Kind(each["unit"], each["datatype"]) for each in api.get(f"assets/{asset}")["signals"]}
    except RefusedError:
        return {}
