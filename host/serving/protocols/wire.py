"""Parses protobuf messages after counting their parts, before these become objects."""

from typing import Any

from google.protobuf.message import DecodeError

from arrayloom.host.serving.core.reading import INLINE, Limits
from arrayloom.host.serving.errors import Kind, ServiceError

MOST_PARTS = 1 << 15
"""Most fields of a message, including nested ones. A packed list of numbers counts as one."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MESSAGE = 11       # protobuf's number of the type of a field that is a message


def parse(kind: Any, data: bytes, limits: Limits) -> Any:
    """Parses a message; raises ``ServiceError`` if it is malformed or has too many parts or bytes."""
    if len(data) > limits.message:
        raise ServiceError(Kind.INVALID, f"a message of {len(data)} bytes; at most {limits.message} are accepted")
    if len(data) > INLINE:
        _check_parts(kind.DESCRIPTOR, data)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise ServiceError(Kind.INVALID, f"malformed message; a {kind.DESCRIPTOR.name} is expected") from None


def _check_parts(descriptor: Any, data: bytes) -> None:
    """Counts fields, as two bytes of a message can take a hundred in memory. Malformed bytes end the count; the parser
    refuses them."""
    waiting = [(descriptor, 0, len(data))]
    parts = 0
    while waiting:
        kind, position, end = waiting.pop()
        while position < end:
            parts += 1
            if parts > MOST_PARTS:
                raise ServiceError(Kind.INVALID, f"a {descriptor.name} of more than {MOST_PARTS} fields; send numbers as "
                                                 "packed lists or raw bytes")
            tag, position = _read_varint(data, position, end)
            wire = tag & 7
            size, position = _read_varint(data, position, end) if wire in (_VARINT, _BYTES) else (0, position)
            if wire == _BYTES:
                field = kind.fields_by_number.get(tag >> 3)
                if field is not None and field.type == _MESSAGE:
                    waiting.append((field.message_type, position, min(position + size, end)))
                position += size
            position += {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)


def write_varint(value: int) -> bytes:
    """Reads a varint: a non-negative number, seven bits per byte."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A varint and the position after it; the end of the message if it is truncated."""
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return 0, end
