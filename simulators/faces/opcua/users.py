"""Who may come in and what they may do, from a YAML file: operators do everything, viewers read and subscribe.

```yaml
li: {role: operator, password_file: li.password}
wang: {role: viewer, certificate: wang.der}
```

Files are relative to the YAML file. Whoever is not in it does not get in, nor does who has no name.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from asyncua import ua
from asyncua.crypto.permission_rules import USER_TYPES, PermissionRuleset, User, UserRole
from asyncua.server.user_managers import UserManager

from simulators.face import FaceError

ROLES: Final = {"operator": UserRole.User, "viewer": UserRole.Anonymous}
"""asyncua knows no other role than Anonymous below User; here it is somebody who has a name."""
_ALL: Final = frozenset(map(ua.NodeId, USER_TYPES))
_CHANGES: Final = frozenset(
    (
        ua.NodeId(ua.ObjectIds.WriteRequest_Encoding_DefaultBinary),
        ua.NodeId(ua.ObjectIds.CallRequest_Encoding_DefaultBinary),
    )
)


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a password or a certificate (DER)."""

    name: str
    role: UserRole
    password_file: Path | None = None
    certificate: bytes = b""


class Users(UserManager):  # type: ignore[misc]
    """The users of a server."""

    def __init__(self, people: list[Person]) -> None:
        self.people = people

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """Return the user with this password, or this certificate; None for nobody."""
        del iserver
        for person in self.people:
            if username and person.password_file is not None and person.name == username:
                secret = person.password_file.read_text(encoding="utf-8").strip()
                known = hmac.compare_digest(secret.encode(), (password or "").encode())
            else:
                known = not username and bool(person.certificate) and person.certificate == certificate
            if known:
                return User(role=person.role, name=person.name)
        return None

    def operator(self, folder: Path) -> dict[str, str]:
        """Return the first operator with a password as the edge's plant file in `folder` wants it; empty for none."""
        for person in self.people:
            if person.role == UserRole.User and person.password_file is not None:
                file = Path(os.path.relpath(person.password_file, folder))
                return {"user": person.name, "password_file": file.as_posix()}
        return {}


class Rules(PermissionRuleset):  # type: ignore[misc]
    """What each role may ask for."""

    def check_validity(self, user: User, action_type_id: ua.NodeId, body: Any) -> bool:
        """Return whether a request is allowed."""
        del body
        return action_type_id in (_ALL if user.role == UserRole.User else _ALL - _CHANGES)


def load(file: Path) -> Users:
    """Read the file; raise FaceError."""
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        people = [_person(file.parent, str(name), body) for name, body in data.items()]
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise FaceError(f"{file}: no users can be read: {error}") from error
    except ValueError as error:
        raise FaceError(f"{file}: {error}") from error
    return Users(people)


def _person(folder: Path, name: str, body: dict[str, Any]) -> Person:
    if body.get("role") not in ROLES or body.keys() - {"role"} not in ({"password_file"}, {"certificate"}):
        raise ValueError(f"{name}: a user has a role ({', '.join(ROLES)}), and a password_file or a certificate")
    role = ROLES[body["role"]]
    if "certificate" in body:
        return Person(name, role, certificate=(folder / body["certificate"]).read_bytes())
    return Person(name, role, folder / body["password_file"])
