"""`python -m shopfloor.compose.influx URL`: bring an InfluxDB 2 server to what the platform expects of it.

Organization, the bucket of raw samples and the one of minutes with their retention, the tasks that fill the latter, and
a token for each who writes or reads, with no more rights than it needs. Repeats change nothing that is right already.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from cloud.telemetry import minute_lines
from cloud.telemetry.rollup import horizon, last_task, minutes_bucket, minutes_task
from contract.lineprotocol import encode
from shopfloor.compose.private import write_private

USER: Final = "shopfloor-admin"
ORG: Final = "shopfloor"
BUCKET: Final = "shopfloor"
DAY_S: Final = 86_400
TIMEOUT_S: Final = 30.0
TOKEN: Final = "influxdb-token"  # noqa: S105 the name of its file
UNKNOWN: Final = (401, 403)
LOST: Final = (
    "the server does not know the token in influxdb/admin-token; bring the volume `secrets-influxdb` back, or let the "
    'server make another token: see "When something is wrong" in docs/compose.md'
)
_SENDABLE: Final = re.compile(r"[!-~]+")


class SetupError(Exception):
    """The server does not take what it must; says what."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long samples are kept, in days; 0: for ever."""

    raw_days: int = 30
    minute_days: int = 365

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Retention:
        """Read SHOPFLOOR_RAW_DAYS and SHOPFLOOR_MINUTE_DAYS; raise SetupError."""
        numbers = []
        for name, default in (("SHOPFLOOR_RAW_DAYS", cls().raw_days), ("SHOPFLOOR_MINUTE_DAYS", cls().minute_days)):
            text = environ.get(name) or str(default)
            if not text.isascii() or not text.isdigit():
                raise SetupError(f"{name} is {text!r}: write a number of days, 0 for ever")
            numbers.append(int(text))
        return cls(*numbers)


class Server:
    """An InfluxDB 2 server, as its administrator."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx2.Client(
            base_url=url, timeout=TIMEOUT_S, trust_env=False, headers={"Authorization": f"Token {token}"}
        )
        self._token = token

    def close(self) -> None:
        """Give up the connection."""
        self._client.close()

    def write(self, bucket: str, lines: bytes) -> None:
        """Write lines into a bucket; raise SetupError."""
        self.ask("POST", "write", lines, org=ORG, bucket=bucket)

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """Return what the server answers to JSON, or to bytes; raise SetupError."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = self._send(method, path, params=query, **content)
        if answer.status_code == 401:
            raise SetupError(LOST)
        return _said(answer)

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            return self._client.request(method, f"/api/v2/{path}", **request)
        except httpx2.HTTPError as error:
            raise SetupError(f"{self._client.base_url} does not answer: {error}") from error

    def begin(self, password: str, retention: Retention) -> None:
        """Make user, organization and first bucket on a server that is new; else nothing."""
        if self.ask("GET", "setup")["allowed"]:
            body = {
                "username": USER,
                "password": password,
                "org": ORG,
                "bucket": BUCKET,
                "token": self._token,
                "retentionPeriodSeconds": retention.raw_days * DAY_S,
            }
            self.ask("POST", "setup", body)

    def org_id(self) -> str:
        """Return the id of our organization."""
        return str(self.ask("GET", "orgs", org=ORG)["orgs"][0]["id"])

    def kept_days(self, org_id: str, name: str) -> int:
        """Return how long a bucket keeps what it has; 0: for ever, or there is none."""
        found = [each for each in self.ask("GET", "buckets", orgID=org_id)["buckets"] if each["name"] == name]
        return sum(int(rule["everySeconds"]) for each in found for rule in each["retentionRules"]) // DAY_S

    def bucket(self, org_id: str, name: str, days: int) -> str:
        """Make a bucket, or set its retention; return its id."""
        # asked for one by its name, the server answers 404 when there is none
        found = [each for each in self.ask("GET", "buckets", orgID=org_id)["buckets"] if each["name"] == name]
        rules: list[dict[str, Any]] = [{"type": "expire", "everySeconds": days * DAY_S}]  # 0: for ever
        if days == 1:  # from two days on it is the server's own choice that no less than a day goes at once
            rules[0]["shardGroupDurationSeconds"] = DAY_S
        if not found:
            body = {"orgID": org_id, "name": name, "retentionRules": rules}
            return str(self.ask("POST", "buckets", body)["id"])
        if sum(rule["everySeconds"] for rule in found[0]["retentionRules"]) != days * DAY_S:
            self.ask("PATCH", f"buckets/{found[0]['id']}", {"retentionRules": rules})
        return str(found[0]["id"])

    def task(self, org_id: str, name: str, flux: str) -> None:
        """Make a task, or give it its newest text; without a text there is to be none."""
        found = self.ask("GET", "tasks", orgID=org_id, name=name)["tasks"]
        if not flux:
            for each in found:
                self.ask("DELETE", f"tasks/{each['id']}")
        elif not found:
            self.ask("POST", "tasks", {"orgID": org_id, "flux": flux, "status": "active"})
        elif found[0]["flux"] != flux:
            self.ask("PATCH", f"tasks/{found[0]['id']}", {"flux": flux, "status": "active"})

    def token(self, org_id: str, name: str, file: Path, rights: Sequence[tuple[str, str]]) -> None:
        """Put a token with (action, bucket id) rights into a file, unless the one in it is good for just that.

        From 2.9 on the server lists tokens without their text, since it keeps hashes: so the token itself is tried.
        """
        found = self.ask("GET", "authorizations", orgID=org_id)["authorizations"]
        ours = [each for each in found if each["description"] == name]
        rights_of = [{(right["action"], right["resource"].get("id")) for right in each["permissions"]} for each in ours]
        # two of one name: there is no telling which of them is that of the file
        if rights_of == [set(rights)] and self._readable(org_id, file) == {
            b for action, b in rights if action == "read"
        }:
            return
        permissions = [
            {"action": action, "resource": {"type": "buckets", "id": bucket, "orgID": org_id}}
            for action, bucket in rights
        ]
        made = self.ask("POST", "authorizations", {"orgID": org_id, "description": name, "permissions": permissions})
        write_private(file, made["token"].encode())
        # only now: whoever uses the old one finds another in the file when it is refused
        for each in ours:
            self.ask("DELETE", f"authorizations/{each['id']}")

    def _readable(self, org_id: str, file: Path) -> set[str] | None:
        """Return the ids of the buckets that the token in a file may read; None: the server does not know it."""
        token = file.read_text(errors="replace").strip() if file.exists() else ""
        if not _SENDABLE.fullmatch(token):
            return None
        query = {"orgID": org_id, "limit": "100"}
        answer = self._send("GET", "buckets", params=query, headers={"Authorization": f"Token {token}"})
        if answer.status_code in UNKNOWN:
            return None
        return {each["id"] for each in _said(answer)["buckets"] if each["type"] == "user"}


def _said(answer: httpx2.Response) -> Any:
    if not answer.is_success:
        request = answer.request
        raise SetupError(f"{request.method} {request.url.path}: {answer.status_code} {answer.text.strip()[:300]}")
    return answer.json() if answer.content else None


def set_up(url: str, secrets: Path, retention: Retention, now_ns: int) -> None:
    """Bring the server at `url` to what is expected; `secrets` has the folders influxdb, gateway, cloud and grafana."""
    own = secrets / "influxdb"
    server = Server(url, (own / "admin-token").read_text().strip())
    try:
        server.begin((own / "admin-password").read_text().strip(), retention)
        org_id = server.org_id()
        minutes_name = minutes_bucket(BUCKET)
        minutes = server.bucket(org_id, minutes_name, retention.minute_days)
        gone_ns = horizon(now_ns, server.kept_days(org_id, BUCKET))
        if gone_ns > max(horizon(now_ns, days) for days in (retention.raw_days, retention.minute_days)):
            # samples that have gone do not come back when they are kept longer
            server.write(minutes_name, encode([minute_lines.since(gone_ns)]))
        raw = server.bucket(org_id, BUCKET, retention.raw_days)
        server.task(org_id, minutes_name, minutes_task(BUCKET, ORG))
        last = last_task(BUCKET, ORG, retention.raw_days) if retention.raw_days else ""
        server.task(org_id, f"{minutes_name}_last", last)
        server.token(org_id, "gateway", secrets / "gateway" / TOKEN, [("write", raw)])
        reading = [("read", raw), ("read", minutes)]
        # to write: that is how an admin deletes an asset that is gone
        server.token(org_id, "cloud", secrets / "cloud" / TOKEN, [*reading, ("write", raw), ("write", minutes)])
        server.token(org_id, "grafana", secrets / "grafana" / TOKEN, reading)
        server.token(org_id, "restore", own / "restore-token", [("write", raw), ("write", minutes)])
    finally:
        server.close()


def main(arguments: Sequence[str]) -> int:
    """Set up the server of the command line; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    try:
        set_up(arguments[0], Path("/secrets"), Retention.of(os.environ), time.time_ns())
    except (SetupError, OSError) as error:
        sys.stderr.write(f"the store is not set up: {error}\n")
        return 1
    sys.stderr.write("the store is set up\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
