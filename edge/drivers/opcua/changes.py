"""Changes of values as they lie in a notification: plain ones become samples at once, all others by asyncua.

asyncua makes seven objects of each change. A plain change is a good number or boolean with its source's time (and the
server's): of those a busy machine sends tens of thousands a second. (OPC 10000-6, 5.2.2.16 and 5.2.2.17.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from contract.model import Quality, Sample
from contract.sparkplug_values import shortest
from edge.drivers.opcua.nodes import Item

_HEAD: Final = struct.Struct("<IBB")  # client handle, which parts a value has, its type
_COUNT: Final = struct.Struct("<i")
_VALUE, _STATUS, _SOURCE, _SERVER = 1, 2, 4, 8
_FORMATS: Final = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
_FLOAT: Final = 10
_PARTS: Final = {
    _VALUE | _SOURCE: "q",
    _VALUE | _SOURCE | _SERVER: "qq",
    _VALUE | _STATUS | _SOURCE: "Iq",
    _VALUE | _STATUS | _SOURCE | _SERVER: "Iqq",
}
_LAYOUTS: Final = {
    parts << 8 | kind: (struct.Struct(f"<{letter}{behind}"), 1 if parts & _STATUS else 0)
    for parts, behind in _PARTS.items()
    for kind, letter in _FORMATS.items()
}
"""What follows the head, by parts and type: the value, maybe a status, the source's time, maybe the server's."""
_EPOCH: Final = 116_444_736_000_000_000  # 1970 in 100 ns since 1601
_FIRST: Final = _EPOCH + 10_000  # a millisecond later: see values.stated_ns
_LAST: Final = _EPOCH + (1 << 62) // 100
_TYPE: Final = ua.NodeId(ua.ObjectIds.DataChangeNotification_Encoding_DefaultBinary)
_BY_CONTENT: Final = 1


@dataclass(frozen=True, slots=True)
class Changes:
    """The body of a notification of changes."""

    body: bytes

    def samples(
        self,
        asset: str,
        items: Mapping[int, Item],
        read: Callable[[Item, ua.DataValue], Sample],
    ) -> tuple[list[Sample], list[tuple[int, ua.DataValue]]]:
        """Return the samples of these items, those that are not plain by `read`, and the values of other handles.

        Raises what asyncua does for bytes that are none of a notification, and struct.error.
        """
        body, (count,) = self.body, _COUNT.unpack_from(self.body)
        samples: list[Sample] = []
        values: list[tuple[int, ua.DataValue]] = []
        head, plain, new, good = _HEAD.unpack_from, _LAYOUTS.get, tuple.__new__, Quality.GOOD
        at = 4
        for _ in range(count):
            handle, parts, kind = head(body, at)
            item = items.get(handle)
            found = plain(parts << 8 | kind)
            if found is not None and item is not None and item.index is None:
                layout, statuses = found
                said = layout.unpack_from(body, at + 6)
                source = said[statuses + 1]
                if _FIRST <= source < _LAST and not (statuses and said[1]):
                    value = shortest(said[0]) if kind == _FLOAT else said[0]
                    time_ns = (source - _EPOCH) // 10 * 1000
                    samples.append(new(Sample, (asset, item.signal, time_ns, value, good, 0)))
                    at += 6 + layout.size
                    continue
            buffer = Buffer(body, at + 4)
            data = ua_binary.struct_from_binary(ua.DataValue, buffer)
            at = len(body) - len(buffer)
            if item is not None:
                samples.append(read(item, data))
            else:
                values.append((handle, data))
        return samples, values


def changes(kind: ua.NodeId, encoding: int, data: Buffer) -> Changes | None:
    """Return what is read of an extension object (behind its type and encoding) when that holds changes."""
    if kind != _TYPE or encoding != _BY_CONTENT:
        return None
    return Changes(data.read(ua_binary.Primitives.Int32.unpack(data)))
