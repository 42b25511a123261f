"""What asyncua does not decode, so that one odd value takes no other with it.

A message that asyncua fails to decode is lost with all that it holds; a value that brings that about comes again with
each connection. asyncua looks its decoders up in its module, so it is mended there, at one place, for the whole
process: a structure whose body does not fit its type, that has no body or one in XML, stays as it came (its length is
known); an array with dimensions that do not fit stays flat; and an array cannot be longer than its message. What is
left is damage, which `is_damage` tells from errors of ours.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer, ServiceError
from asyncua.ua import ua_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from edge.drivers.opcua.changes import changes

_WITH_XML: Final = 2  # OPC 10000-6, 5.2.2.15: encoding of the body of an ExtensionObject
_WITH_BODY: Final = 1
_OF_PROTOCOL: Final = (ua.StatusChangeNotification, ua.HistoryData)
_ERRORS: Final = (
    UaError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
    MemoryError,
    struct.error,
)

_extension_object = ua_binary.extensionobject_from_binary
_array = ua_binary.unpack_uatype_array
_matrix = ua_binary._reshape


def is_damage(error: BaseException) -> bool:
    """Whether asyncua fails at bytes that it was sent (not: the server says no, the line is gone, or we err)."""
    if not isinstance(error, _ERRORS) or isinstance(error, UaStatusCodeError | ServiceError):
        return False
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("asyncua."):
            return True
        trace = trace.tb_next
    return False


def _tolerant_extension_object(data: Buffer) -> Any:
    start = data.copy()
    kind, encoding = ua_binary.nodeid_from_binary(start), start.read(1)[0]
    if (found := changes(kind, encoding, start)) is not None:
        data.skip(len(data) - len(start))
        return found
    if encoding == _WITH_XML:
        data.skip(len(data) - len(start))
        return ua.ExtensionObject(TypeId=kind, Body=ua_binary.Primitives.Bytes.unpack(data))
    try:
        return _extension_object(data)
    except _ERRORS:
        if ua.extension_objects_by_typeid.get(kind) in _OF_PROTOCOL:
            raise
        if not encoding & _WITH_BODY:
            return ua.ExtensionObject(TypeId=kind)
        length = ua_binary.Primitives.Int32.unpack(start)
        if length < 0:
            raise
        return ua.ExtensionObject(TypeId=kind, Body=start.read(length))


def _bounded_array(kind: Any, data: Buffer) -> Any:
    length = ua_binary.Primitives.Int32.unpack(data.copy())
    if length > len(data):
        raise UaError(f"an array of {length} elements in {len(data)} bytes")
    return _array(kind, data)


def _matrix_that_fits(flat: list[Any], dimensions: list[int] | None) -> list[Any]:
    size = 1
    for dimension in dimensions or (0,):
        size *= dimension
    return _matrix(flat, dimensions) if isinstance(flat, list) and size == len(flat) else flat


ua_binary.extensionobject_from_binary = _tolerant_extension_object
ua_binary.unpack_uatype_array = _bounded_array
ua_binary._reshape = _matrix_that_fits
for _cached in (
    ua_binary._create_uatype_deserializer,
    ua_binary._create_uatype_array_deserializer,
    ua_binary._create_list_deserializer,
    ua_binary._create_type_deserializer,
    ua_binary._create_dataclass_deserializer,
):
    _cached.cache_clear()  # they keep the decoders that they have found
