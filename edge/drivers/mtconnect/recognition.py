"""Whether an agent answers somewhere, and how the entry of a machine names its data items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge.driver import Tag
from edge.drivers import _http
from edge.drivers._http import AnswerError
from edge.drivers._mtconnect import documents
from edge.recognize import Recognized

PORTS: Final = (5000,)
_SHOWN: Final = 10


async def recognize(host: str, port: int, path: str, timeout_s: float) -> Recognized | None:
    """Ask for the model of the devices; None when nobody answers as an agent does."""
    page = await _http.look(host, port, f"{path.partition('?')[0].rstrip('/')}/probe", timeout_s, "text/xml")
    if page is None:
        return None
    try:
        devices = [device for device in documents.devices(page.body) if device.kind == "Device"]
    except documents.Refusal as refusal:
        return Recognized(page.scheme, 0.95, f"an MTConnect agent, which answers: {refusal}")
    except AnswerError:
        return None
    names = ", ".join(device.name for device in devices[:_SHOWN]) or "none"
    more = f" and {len(devices) - _SHOWN} more" if len(devices) > _SHOWN else ""
    several = f"say which device: device={devices[0].name}" if len(devices) > 1 else ""
    return Recognized(page.scheme, 1.0, f"an MTConnect agent, devices: {names}{more}", todo=several)


def map_tags(tags: Sequence[Tag]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the entry of a machine with these tags says, and what each of their signals does.

    Raises ValueError for tags of several devices.
    """
    devices = sorted({tag.path.partition("/")[0] for tag in tags})
    if len(devices) > 1:
        raise ValueError(f"these are of {len(devices)} devices ({', '.join(devices[:_SHOWN])}): take one at a time")
    return {"device": devices[0]}, [{"data_item": tag.address} for tag in tags]
