"""`python -m shopfloor.compose.provision`: make what is missing of secrets, certificates and brokers' settings.

Runs once before all other containers, at each `up`, without network. Below /secrets each identity has a folder of its
own, a volume that no other container sees. Nothing that exists is replaced, but certificates that end soon.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from shopfloor.compose import brokers
from shopfloor.compose.certificates import Authority
from shopfloor.compose.private import write_private

PLACE: Final = brokers.Place(secrets=PurePosixPath("/data/secrets"), data=PurePosixPath("/var/lib/broker"))
SERVERS: Final[Mapping[str, Sequence[str]]] = {
    "broker": ("broker", "localhost", "127.0.0.1"),
    "uns": ("uns", "localhost", "127.0.0.1"),
}
CLIENTS: Final = ("gateway", *brokers.EDGES, "cloud", "simulators", "machine")


def provide(root: Path, now: datetime) -> list[str]:
    """Fill the folders of all identities below `root`; return those that got new certificates."""
    authority = Authority.of(root / "ca", now)
    new = [name for name, hosts in SERVERS.items() if authority.issue(root / name, name, now, hosts)]
    new += [name for name in CLIENTS if authority.issue(root / name, name, now)]
    for name, rights in (("broker", brokers.WORKSHOP), ("uns", brokers.ENTERPRISE)):
        write_private(root / name / "nats.conf", brokers.nats(name, rights, PLACE).encode())
        write_private(root / name / "mosquitto.conf", brokers.mosquitto(PLACE).encode())
        write_private(root / name / "mosquitto.acl", brokers.mosquitto_acl(rights).encode())
    _provide_tokens(root)
    return new


def _provide_tokens(root: Path) -> None:
    for name in ("admin-password", "admin-token"):
        _secret(root / "influxdb" / name)
    _secret(root / "grafana" / "password")
    _secret(root / "cloud" / "cli-token")
    _secret(root / "gateway" / "gateway-token")
    # in the light variant the cloud is the store, and takes what has the gateway's token
    _copy(_secret(root / "gateway" / "store-token"), root / "cloud" / "store-token")
    _copy(_secret(root / "gateway" / "cloud-token"), root / "cloud" / "cloud-token")
    (root / "postgres").chmod(0o755)  # its server runs as another user, and nobody else sees this folder
    passfile = root / "cloud" / "pgpass"
    if passfile.exists() and not (root / "postgres" / "password").exists():
        # the database has it inside, and would refuse a new one
        write_private(root / "postgres" / "password", passfile.read_text().strip().rpartition(":")[2].encode(), 0o444)
    password = _secret(root / "postgres" / "password", 0o444)
    write_private(passfile, f"postgres:5432:shopfloor:shopfloor:{password}\n".encode())


def _secret(path: Path, mode: int = 0o600) -> str:
    if not path.exists() or not path.stat().st_size:
        write_private(path, secrets.token_urlsafe(32).encode(), mode)
    return path.read_text()


def _copy(secret: str, path: Path) -> None:
    if not path.exists() or path.read_text() != secret:
        write_private(path, secret.encode())


def main() -> int:
    """Provide everything below /secrets; return the exit code."""
    root = Path("/secrets")
    try:
        new = provide(root, datetime.now(UTC))
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}; is the volume writable for user 10001?\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"{error}; restore the volume `secrets-ca`, or remove it to begin with a new authority\n")
        return 1
    sys.stderr.write(f"secrets are there; new certificates: {', '.join(new) or 'none'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
