"""The store behind line protocol: one POST to InfluxDB 2's `/api/v2/write`, and what its answer means."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import httpx2

DETAIL: Final = 500  # as much of an error's text as is worth keeping
GZIP: Final = 31  # zlib's window size for gzip framing
UNAUTHORIZED: Final = (401, 403)
# 413: too much at once; 422: InfluxDB's word for points that it can never take
REJECTED: Final = (400, 413, 422)

Outcome = Literal["written", "rejected", "unauthorized", "unavailable"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a write. `detail` says what went wrong and what to do; `retry_after_s` is the store's own wish.

    `is_late`: it did not answer in time, perhaps as it was given too much at once.
    """

    outcome: Outcome
    detail: str = ""
    retry_after_s: float = 0.0
    is_late: bool = False


class Store(Protocol):
    """Anything that takes line protocol, and to which a repeat is harmless."""

    def write(self, lines: bytes) -> Answer:
        """Write lines; `written` means that they are durable. Never raises for what the network does."""

    def close(self) -> None:
        """Give up the connection."""


class HttpStore:
    """A store at `url`; the token is read anew for each write, so that it can be changed under way."""

    def __init__(self, url: str, *, org: str, bucket: str, token_file: Path | None, timeout_s: float = 10.0) -> None:
        self._url = url.rstrip("/") + "/api/v2/write"
        self._parameters = {"org": org, "bucket": bucket, "precision": "ns"}
        self._token_file = token_file
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, 3.0)),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=60.0),
            trust_env=False,
        )

    def write(self, lines: bytes) -> Answer:
        """Post the lines once."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        if self._token_file is not None:
            try:
                headers["Authorization"] = f"Token {self._token_file.read_text().strip()}"
            except OSError as error:
                return Answer("unauthorized", f"{error}; put the store's token there (SHOPFLOOR_STORE_TOKEN_FILE)")
        body = zlib.compress(lines, level=1, wbits=GZIP)
        try:
            with self._client.stream(
                "POST", self._url, params=self._parameters, headers=headers, content=body
            ) as response:
                return self._answer(response)
        except httpx2.TimeoutException as error:
            detail = f"{self._url} did not answer in time ({type(error).__name__}); is it overloaded?"
            return Answer("unavailable", detail, is_late=True)
        except httpx2.RequestError as error:
            return Answer("unavailable", f"{self._url}: {error}; start the store or correct SHOPFLOOR_STORE_URL")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _answer(self, response: httpx2.Response) -> Answer:
        status = response.status_code
        if status == 204:
            response.read()  # a connection whose answer was read to its end is used again
            return Answer("written")
        text = b""
        for chunk in response.iter_bytes(DETAIL):
            text += chunk
            if len(text) >= DETAIL:
                break
        said = f"{self._url} answered {status}: {text[:DETAIL].decode(errors='replace').strip()}"
        if status in REJECTED:
            return Answer("rejected", said)
        if status in UNAUTHORIZED:
            return Answer("unauthorized", f"{said}; correct the token in SHOPFLOOR_STORE_TOKEN_FILE")
        if status == 404:
            return Answer("unavailable", f"{said}; correct SHOPFLOOR_STORE_URL, SHOPFLOOR_STORE_ORG or _BUCKET")
        return Answer("unavailable", said, retry_after(response.headers.get("Retry-After", "")))


def retry_after(text: str) -> float:
    """Return the seconds of a Retry-After header; a date or nonsense is 0: our own back-off will do."""
    return float(min(int(text), 300)) if text.isascii() and text.isdigit() else 0.0
