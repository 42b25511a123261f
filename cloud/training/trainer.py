"""What simulators take from a trainer, over their control address on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2
import orjson

TIMEOUT_S: Final = 5.0
MOST_BYTES: Final = 8 << 20
"""Longer answers are refused: fifty machines with all of their faults take 400 kB."""


class TrainerError(Exception):
    """The simulators do not answer, or not as simulators do; the text says why."""


class RefusedError(Exception):
    """The simulators refuse a wish; the text says why."""


class Trainer:
    """The simulators behind `url`. Every call raises TrainerError, those that change something RefusedError too."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def machines(self) -> dict[str, Any]:
        """Return what is so of every machine, by its id."""
        machines: dict[str, Any] = self._ask("GET", "/truth")["machines"]
        return machines

    def machine(self, asset: str) -> dict[str, Any]:
        """Return what is so of a machine; raise RefusedError when there is none."""
        if set(asset) <= {"."}:  # a path would lead elsewhere
            raise RefusedError(f"there is no machine {asset!r}")
        machine: dict[str, Any] = self._ask("GET", f"/truth/{quote(asset, safe='')}")
        return machine

    def modes(self) -> dict[str, list[dict[str, Any]]]:
        """Return what can be broken of each machine."""
        modes: dict[str, list[dict[str, Any]]] = self._ask("GET", "/faults")
        return modes

    def scenarios(self) -> list[dict[str, Any]]:
        """Return the scenarios that there are."""
        scenarios: list[dict[str, Any]] = self._ask("GET", "/scenarios")
        return scenarios

    def fault(self, asset: str, **wish: Any) -> None:
        """Put a fault in, or with `clear` repair it."""
        self._ask("POST", "/faults", {"asset": asset, **wish})

    def sensor_fault(self, asset: str, **wish: Any) -> None:
        """Let a sensor lie; the mode none repairs it."""
        self._ask("POST", "/sensor_faults", {"asset": asset, **wish})

    def link_fault(self, asset: str, **wish: Any) -> None:
        """Disturb the way of a machine's data; the mode none repairs it."""
        self._ask("POST", "/link_faults", {"asset": asset, **wish})

    def scenario(self, name: str, *, clear: bool = False) -> None:
        """Begin a scenario, or let no more of it happen."""
        self._ask("POST", "/scenarios", {"scenario": name, "clear": clear})

    def _ask(self, method: str, path: str, wish: Mapping[str, Any] | None = None) -> Any:
        try:
            with (
                httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as client,
                client.stream(method, self._url + path, json=wish) as response,
            ):
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise TrainerError(f"{path}: the answer has more than {MOST_BYTES} bytes")
            content = orjson.loads(body)
        except (httpx2.HTTPError, orjson.JSONDecodeError) as error:
            raise TrainerError(str(error) or type(error).__name__) from error
        if not response.is_success:
            raise RefusedError(str(content.get("error", response.reason_phrase)))
        return content
