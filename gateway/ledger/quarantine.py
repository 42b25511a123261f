"""What was set aside, for people: list it, look at its bytes, give it to store or cloud once more, or discard it.

It is asked over HTTP, beside `/health`, with a token: `GET /quarantine`, `GET /quarantine/7`,
`POST /quarantine/7/replay`, `DELETE /quarantine/7`.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import orjson

from contract.identity import Ids
from contract.sparkplug import SparkplugError, decode
from gateway.birth import Birth
from gateway.cloud import Cloud
from gateway.ledger.file import CLOUD, STORE, Aside, Ledger, LedgerError
from gateway.reader import Notes, parse
from gateway.store import Store
from spool import SpoolError

_PATH: Final = re.compile(r"/quarantine(?:/(?P<id>[0-9]{1,18})(?P<replay>/replay)?)?")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class RefusedError(Exception):
    """Something cannot be replayed; says why."""


class Quarantine:
    """The quarantine of a ledger. Nothing is forgotten before store or cloud has it, or somebody has discarded it."""

    def __init__(
        self,
        ledger: Ledger,
        notes: Notes,
        store: Store,
        token_file: Path | None,
        ids: Ids | None = None,
        *,
        cloud: Cloud | None = None,
    ) -> None:
        self._cloud = cloud
        self._ledger = ledger
        self._notes = notes
        self._store = store
        self._token_file = token_file
        self._ids = Ids() if ids is None else ids

    def close(self) -> None:
        """Give up the connections to store and cloud."""
        self._store.close()
        if self._cloud is not None:
            self._cloud.close()

    def answer(self, method: str, path: str, authorization: str) -> Reply:
        """Answer a request to `/quarantine…`; `authorization` is the header of that name."""
        refused = self._authorize(authorization)
        if refused is not None:
            return refused
        try:
            return self._answer(method, path)
        except (LedgerError, SpoolError) as error:
            return _told(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _answer(self, method: str, path: str) -> Reply:
        found = _PATH.fullmatch(path)
        if found is None:
            return _told(HTTPStatus.NOT_FOUND, "try /quarantine")
        match method, found["id"], found["replay"]:
            case "GET", None, None:
                return Reply(HTTPStatus.OK, self._listed(), "application/json")
            case "GET", str() as id_, None:
                return self._shown(int(id_))
            case "POST", str() as id_, str():
                return self._replayed(int(id_))
            case "DELETE", str() as id_, None:
                return self._let_go(int(id_), "aside_discarded")
        return _told(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not for {path}")

    def _authorize(self, authorization: str) -> Reply | None:
        if self._token_file is None:
            return _told(HTTPStatus.FORBIDDEN, "the gateway has no token for this: set SHOPFLOOR_GATEWAY_TOKEN_FILE")
        try:
            token = self._token_file.read_bytes().strip()
        except OSError as error:
            return _told(HTTPStatus.FORBIDDEN, f"the gateway cannot read its token: {error}")
        if not token or not hmac.compare_digest(authorization.encode("utf-8", "replace"), b"Bearer " + token):
            return _told(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong (Authorization: Bearer …)")
        return None

    def _listed(self) -> bytes:
        return orjson.dumps([
            {
                "id": kept.id,
                "time": datetime.fromtimestamp(kept.time_ns / 1e9, UTC).isoformat(timespec="milliseconds")[:23] + "Z",
                "node": "/".join(kept.node),
                "source": kept.source,
                "reason": kept.reason,
                "bytes": kept.size,
            }
            for kept in self._ledger.kept()
        ])  # fmt: skip

    def _shown(self, id_: int) -> Reply:
        aside = self._ledger.find(id_)
        return _missing(id_) if aside is None else Reply(HTTPStatus.OK, aside.body, "application/octet-stream")

    def _replayed(self, id_: int) -> Reply:
        aside = self._ledger.find(id_)
        if aside is None:
            return _missing(id_)
        if aside.source == CLOUD:
            return self._posted(id_, aside)
        try:
            lines = self._lines(aside)
        except (SparkplugError, RefusedError) as error:
            return _told(HTTPStatus.CONFLICT, str(error))
        answer = self._store.write(lines)
        match answer.outcome:
            case "written":
                return self._let_go(id_, "aside_replayed")
            case "rejected":
                return _told(HTTPStatus.CONFLICT, answer.detail)
            case _:
                return _told(HTTPStatus.SERVICE_UNAVAILABLE, answer.detail)

    def _posted(self, id_: int, aside: Aside) -> Reply:
        """Give the cloud a line that it has refused."""
        if self._cloud is None:
            return _told(HTTPStatus.CONFLICT, "the gateway has no cloud: set SHOPFLOOR_CLOUD_URL")
        receipt = self._cloud.post([aside.body])
        match receipt.outcome:
            case "taken" if not receipt.refused:
                return self._let_go(id_, "aside_replayed")
            case "taken" | "rejected":
                return _told(HTTPStatus.CONFLICT, receipt.refused.get(0, receipt.detail))
            case _:
                return _told(HTTPStatus.SERVICE_UNAVAILABLE, receipt.detail)

    def _let_go(self, id_: int, what: str) -> Reply:
        return Reply(HTTPStatus.NO_CONTENT) if self._ledger.let_go(id_, what) else _missing(id_)

    def _lines(self, aside: Aside) -> bytes:
        """Return what was set aside as line protocol; raise SparkplugError or RefusedError."""
        if aside.source == STORE:
            return aside.body
        topic = parse(aside.source)
        if topic.type not in ("NDATA", "DDATA"):
            raise RefusedError(f"a {topic.type} is not replayed: it spoke of a session that is over")
        if any(metric.name is None for metric in decode(aside.body).metrics):
            raise RefusedError(
                "its metrics go by alias, and what an alias means ended with the session of its edge node; "
                "keep the bytes, or discard it"
            )
        born = self._notes.note(topic.node.topic("NBIRTH" if topic.device is None else "DBIRTH", topic.device))
        if born is None:
            raise RefusedError("the birth of this asset is not known; replay it once its edge node is online")
        birth = Birth(topic.node, topic.device, born, self._ids)
        batch = birth.read(aside.body, aside.time_ns)
        lines = birth.lines(batch)
        if batch.skipped or not lines:
            raise RefusedError(f"{batch.skipped} of its values are of a kind that no signal can hold")
        return "\n".join(line.rstrip("\n") for line in lines).encode()


def _told(status: HTTPStatus, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode())


def _missing(id_: int) -> Reply:
    return _told(HTTPStatus.NOT_FOUND, f"nothing is kept under {id_}; it was replayed, discarded or dropped")
