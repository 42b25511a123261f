"""The cloud behind `POST /api/v1/chain`: one request with what only it keeps, and what its answer means."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

import httpx2
import orjson

from gateway.store import DETAIL, GZIP, UNAUTHORIZED, retry_after

PATH: Final = "/api/v1/chain"
# 413: too much at once; 422: a value that its database can never take
REJECTED: Final = (400, 413, 422)
_MOST_ANSWER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a post. `taken`: all lines are durable but those in `refused`, which have an index and a reason.

    `failed`: the cloud fell over it, perhaps by what a line says. `detail` says what went wrong and what to do,
    `retry_after_s` is the cloud's own wish. `is_late`: it did not answer in time, perhaps as it was given too much.
    """

    outcome: Literal["taken", "rejected", "failed", "unauthorized", "unavailable"]
    refused: dict[int, str] = field(default_factory=dict)
    detail: str = ""
    retry_after_s: float = 0.0
    is_late: bool = False


class Cloud(Protocol):
    """Anything that takes lines of JSON, and to which a repeat is harmless."""

    def post(self, lines: Sequence[bytes]) -> Receipt:
        """Give lines. Never raises for what the network does."""

    def close(self) -> None:
        """Give up the connection."""


class HttpCloud:
    """A cloud at `url`; the token is read anew for each post, so that it can be changed under way."""

    def __init__(self, url: str, *, token_file: Path | None, timeout_s: float = 10.0) -> None:
        self._url = url.rstrip("/") + PATH
        self._token_file = token_file
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, 3.0)),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=60.0),
            trust_env=False,
        )

    def post(self, lines: Sequence[bytes]) -> Receipt:
        """Post the lines once."""
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if self._token_file is not None:
            try:
                headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
            except OSError as error:
                return Receipt("unauthorized", detail=f"{error}; put the token there (SHOPFLOOR_CLOUD_TOKEN_FILE)")
        body = zlib.compress(b"\n".join(lines), level=1, wbits=GZIP)
        try:
            with self._client.stream("POST", self._url, headers=headers, content=body) as response:
                return self._receipt(response)
        except httpx2.TimeoutException as error:
            detail = f"{self._url} did not answer in time ({type(error).__name__}); is it overloaded?"
            return Receipt("unavailable", detail=detail, is_late=True)
        except httpx2.RequestError as error:
            return Receipt(
                "unavailable", detail=f"{self._url}: {error}; start the cloud or correct SHOPFLOOR_CLOUD_URL"
            )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _receipt(self, response: httpx2.Response) -> Receipt:
        text = b""
        for chunk in response.iter_bytes(DETAIL):
            text += chunk
            if len(text) >= (_MOST_ANSWER if response.status_code == 200 else DETAIL):
                break
        if response.status_code == 200:
            refused = _refused(text)
            if refused is not None:
                return Receipt("taken", refused)
        said = f"{self._url} answered {response.status_code}: {text[:DETAIL].decode(errors='replace').strip()}"
        if response.status_code in REJECTED:
            return Receipt("rejected", detail=said)
        if response.status_code == 500:
            return Receipt("failed", detail=said)
        if response.status_code in UNAUTHORIZED:
            return Receipt("unauthorized", detail=f"{said}; correct the token in SHOPFLOOR_CLOUD_TOKEN_FILE")
        if response.status_code in (200, 404):
            return Receipt("unavailable", detail=f"{said}; correct SHOPFLOOR_CLOUD_URL, or update the cloud")
        return Receipt("unavailable", detail=said, retry_after_s=retry_after(response.headers.get("Retry-After", "")))


def _refused(text: bytes) -> dict[int, str] | None:
    """Return the indexes of refused lines and why; None when it is not the answer of a cloud."""
    try:
        return {int(each["line"]) - 1: str(each["reason"]) for each in orjson.loads(text)["refused"]}
    except (ValueError, KeyError, TypeError):
        return None
