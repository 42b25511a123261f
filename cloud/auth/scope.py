"""Scopes: which part of the plant somebody may see and act on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final, NamedTuple

from pydantic import Field

PLANT: Final = "plant"
MAX_SCOPES: Final = 100
_ID: Final = r"[^/\x00]{1,64}"

Scope = Annotated[
    str,
    Field(
        pattern=rf"^(plant|area:{_ID}/{_ID}|line:{_ID}/{_ID}/{_ID}|asset:{_ID})$",
        description="`plant`, `area:<site>/<area>`, `line:<site>/<area>/<line>` or `asset:<id>`",
        examples=["area:shanghai/machining"],
    ),
]
Scopes = Annotated[
    list[Scope],
    Field(min_length=1, max_length=MAX_SCOPES, description="what of the plant somebody may see and act on"),
]


class Place(NamedTuple):
    """Where an asset stands."""

    asset: str
    site: str
    area: str
    line: str

    def is_in(self, scopes: Collection[str]) -> bool:
        """Tell whether one of the scopes holds it."""
        asset, site, area, line = self
        return not {PLANT, f"area:{site}/{area}", f"line:{site}/{area}/{line}", f"asset:{asset}"}.isdisjoint(scopes)


Limits = tuple[frozenset[str], ...]
"""Sets of scopes, each of which holds what somebody may see and act on; none: all of the plant."""


def limits_of(*given: Collection[str]) -> Limits:
    """Return limits without those that are none."""
    return tuple(frozenset(scopes) for scopes in given if PLANT not in scopes)
