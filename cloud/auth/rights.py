"""Who may do what, and on what of the plant: roles, actions and scopes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody is in the plant; `ACTIONS` says what each role may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    MAINTAINER = "maintainer"
    ENGINEER = "engineer"
    TRAINER = "trainer"
    STUDENT = "student"
    MAKER = "maker"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Tell whether this role may do all that the other may. (`<` on a StrEnum would compare the words.)"""
        return ACTIONS[self] >= ACTIONS[other]


class Action(StrEnum):
    """What somebody does; an address needs one of these."""

    READ = "read"
    """See machines, values, events, blocks and the ledger."""
    EXPORT = "export"
    """Take samples away as a file."""
    ACKNOWLEDGE = "acknowledge"
    """Take note of an event for all."""
    KEEP = "keep"
    """Keep a block from being dropped, and let it go again."""
    WRITE = "write"
    """Write a signal that is marked writable; ask a sensor for a block."""
    CONFIGURE = "configure"
    """Browse a machine, change its entry in the plant file, take it out of the plant."""
    INJECT = "inject"
    """Put a fault into a simulated machine."""
    TEACH = "teach"
    """Manage the exercises of students."""
    ADMINISTER = "administer"
    """Manage users and their rights; delete a machine with its history."""


_LOOK: Final = frozenset({Action.READ, Action.EXPORT})
_RUN: Final = _LOOK | {Action.ACKNOWLEDGE}
_MAINTAIN: Final = _RUN | {Action.KEEP, Action.WRITE}
ACTIONS: Final[dict[Role, frozenset[Action]]] = {
    Role.VIEWER: _LOOK,
    Role.OPERATOR: _RUN,
    Role.MAINTAINER: _MAINTAIN,
    Role.ENGINEER: _MAINTAIN | {Action.CONFIGURE},
    Role.TRAINER: _RUN | {Action.INJECT, Action.TEACH},
    Role.STUDENT: _LOOK,
    Role.MAKER: frozenset({Action.READ}),
    Role.ADMIN: frozenset(Action),
}

_IN_LAB: Final[dict[Role, frozenset[Action]]] = {Role.STUDENT: _MAINTAIN}
"""What a role may do besides where somebody's scope is not the whole plant."""
WITH_SCOPE: Final = frozenset({Role.MAKER})
"""Roles that may do nothing in the whole plant: of these somebody has the scope of some machines."""


def actions_of(role: Role, *, whole_plant: bool) -> frozenset[Action]:
    """Return what somebody may do with a role, in the whole plant or in a part of it."""
    if whole_plant:
        return frozenset() if role in WITH_SCOPE else ACTIONS[role]
    return (ACTIONS[role] | _IN_LAB.get(role, frozenset())) - {Action.ADMINISTER}


def lowest(action: Action) -> Role:
    """Return the first role that may do this."""
    return next(role for role in Role if action in ACTIONS[role])
