"""Look around in the devices of an agent."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from contract.model import Datatype
from edge.driver import Tag
from edge.drivers._mtconnect.documents import Device, local
from edge.drivers._mtconnect.items import UNITS, kind_of


def tags(devices: Sequence[Device], current: Mapping[str, Element], path: str) -> Iterator[Tag]:
    """Yield the data items at `path` and below, with the value that is in `current` (by id).

    A path is made of the names of device, components and data item separated by `/`, with the globs `*`, `?` and `[…]`
    in each.
    """
    pattern = [part for part in path.split("/") if part]
    for item in (item for device in devices for item in device.items):
        if len(item.path) < len(pattern):
            continue
        if not all(fnmatch.fnmatchcase(name, part) for name, part in zip(item.path, pattern, strict=False)):
            continue
        kind = kind_of(item)
        seen = current.get(item.id)
        what = " ".join(word for word in (item.category, item.type, item.sub_type, item.representation) if word)
        yield Tag(
            path="/".join(item.path),
            address=item.id,
            datatype=Datatype.DOUBLE if kind == "number" else Datatype.STRING,
            value=None if seen is None else (local(seen) if kind == "condition" else (seen.text or "").strip()),
            description=", ".join(word for word in (what.removesuffix(" VALUE"), item.units, item.range) if word),
            unit=UNITS.get(item.units, "") if kind == "number" else "",
        )
