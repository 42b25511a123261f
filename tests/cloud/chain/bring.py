"""What a gateway does: bring lines to the cloud."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.testclient import TestClient

from contract.block import Header, Number, pack
from tests.cloud.conftest import GATEWAY_TOKEN

NOON_NS = 1_795_420_800_000_000_000
SECOND_NS = 1_000_000_000
LINE = "demo:shanghai:machining/line1"


def line(kind: str, asset: str = "cnc-01", **content: Any) -> dict[str, Any]:
    return {"kind": kind, "node": LINE, "asset": asset, **content}


def event(id_: str, second: float = 0.0, asset: str = "cnc-01", **fields: Any) -> dict[str, Any]:
    """Return the line of an event so many seconds after noon."""
    said = {"id": id_, "asset": asset, "name": id_, "time_ns": NOON_NS + round(second * SECOND_NS)} | fields
    return line("event", asset, event=said)


def condition(id_: str, second: float, state: str, name: str = "coolant", **fields: Any) -> dict[str, Any]:
    return event(id_, second, condition=name, state=state, **fields)


def block(
    id_: str,
    numbers: Sequence[float],
    second: float = 0.0,
    *,
    number: Number = "float32",
    asset: str = "cnc-01",
    **fields: Any,
) -> dict[str, Any]:
    """Return the line of a block that starts so many seconds after noon."""
    header = Header.model_validate(
        {
            "id": id_,
            "asset": asset,
            "sensor": "vibration",
            "start_ns": NOON_NS + round(second * SECOND_NS),
            "rate_hz": 1000.0,
            "unit": "m/s2",
            "number": number,
            "count": len(numbers),
        }
        | fields
    )
    data = base64.b64encode(pack(numbers, number)).decode()
    return line("block", asset, header=header.model_dump(), data=data)


def bring(client: TestClient, *lines: Mapping[str, Any] | bytes, packed: bool = True) -> list[tuple[int, str]]:
    """Bring lines as a gateway does; return the refused ones."""
    body = b"\n".join(each if isinstance(each, bytes) else orjson.dumps(each) for each in lines)
    headers = {"Authorization": f"Bearer {GATEWAY_TOKEN}"} | ({"Content-Encoding": "gzip"} if packed else {})
    answer = client.post("/api/v1/chain", content=gzip.compress(body) if packed else body, headers=headers)
    assert answer.status_code == 200, answer.text
    return [(each["line"], each["reason"]) for each in answer.json()["refused"]]
