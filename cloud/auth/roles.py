"""The four roles; each may do all that the one before it may."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """viewer: look; operator: also run machines; engineer: also set up the plant; admin: also users."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Tell whether this role may do all that the other may. (`<` on a StrEnum would compare the words.)"""
        order = list(Role)
        return order.index(self) >= order.index(other)
