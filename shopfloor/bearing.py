"""Rolling bearings that are known by their designation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shopfloor.errors import ConfigurationError

if TYPE_CHECKING:
    from vibration.bearing import Orders


def known(name: str) -> Orders:
    """Return the orders of a bearing by its designation, with or without what follows it (6205-2RS JEM).

    Raise ConfigurationError for one that is not known.
    """
    from vibration.bearing import KNOWN  # noqa: PLC0415

    asked = name.upper().replace(" ", "-")
    for each in sorted(KNOWN, key=len, reverse=True):
        if asked == each.upper() or asked.startswith(f"{each.upper()}-"):
            return KNOWN[each]
    raise ConfigurationError(
        f"no bearing {name!r} is known; have: {', '.join(KNOWN)}",
        "say its orders or its geometry, as its maker's data sheet has them",
    )
