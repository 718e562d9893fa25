"""Parses protobuf messages after counting their parts, before these become objects."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError

from arrayloom.host.serving.core.reading import INLINE, Limits
from arrayloom.host.serving.errors import Kind, ServiceError

MOST_PARTS = 1 << 15
"""Most fields of a message, including nested ones. A packed list of numbers counts as one."""

LIGHT_PARTS = 256
"""Most fields of a message that can be light; no more are looked at."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MESSAGE, _PLAIN = 11, 12       # protobuf's numbers of the types of fields: messages, and bytes


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


def light(kind: Any) -> Callable[[bytes | bytearray, Mapping[str, Any]], bool]:
    """Makes the check of a message class: few fields, and all but ``INLINE`` bytes are in fields of type bytes."""
    def is_light(data: bytes | bytearray, _: Mapping[str, Any]) -> bool:
        fields = list(islice(_fields(kind.DESCRIPTOR, data), LIGHT_PARTS + 1))
        plain = sum(size for type_, size in fields if type_ == _PLAIN)
        return len(fields) <= LIGHT_PARTS and plain <= len(data) <= plain + INLINE

    return is_light


def _check_parts(descriptor: Any, data: bytes) -> None:
    """Two bytes of a message can take a hundred in memory. Malformed bytes end the count; the parser refuses them."""
    if next(islice(_fields(descriptor, data), MOST_PARTS, None), None) is not None:
        raise ServiceError(Kind.INVALID, f"a {descriptor.name} of more than {MOST_PARTS} fields; send numbers as "
                                         "packed lists or raw bytes")


def _fields(descriptor: Any, data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yields each field of a message, nested ones included: protobuf's number of its type (0 if the field is unknown or is
    no bytes on the wire) and its size in bytes as the message states it."""
    waiting = [(descriptor, 0, len(data))]
    while waiting:
        kind, position, end = waiting.pop()
        while position < end:
            tag, position = _read_varint(data, position, end)
            wire = tag & 7
            size, position = _read_varint(data, position, end) if wire in (_VARINT, _BYTES) else (0, position)
            type_ = 0
            if wire == _BYTES:
                field = kind.fields_by_number.get(tag >> 3)
                type_ = 0 if field is None else field.type
                if type_ == _MESSAGE:
                    waiting.append((field.message_type, position, min(position + size, end)))
                position += size
            yield type_, size
            position += {_FIXED64: 8, _FIXED32: 4}.get(wire, 0)


def write_varint(value: int) -> bytes:
    """Reads a varint: a non-negative number, seven bits per byte."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _read_varint(data: bytes | bytearray, position: int, end: int) -> tuple[int, int]:
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
