"""The messages and services of the protocols, built from their ``.proto`` files at import.

They have the names of the public protocols, but are in a descriptor pool of our own, so that the protocols' official
packages can be imported too.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.protobuf import any_pb2, descriptor_pool, message_factory, wrappers_pb2

from arrayloom.host.serving.protocols.schema_reader import Reader, resolve

POOL = descriptor_pool.DescriptorPool()
"""Descriptors of everything that is served; reflection uses them too."""

for _known in (any_pb2, wrappers_pb2):
    POOL.AddSerializedFile(_known.DESCRIPTOR.serialized_pb)


def load(*paths: Path) -> SimpleNamespace:
    """The messages (as classes) and enums (as name to number) of ``.proto`` files, by name, including nested enums."""
    found: dict[str, Any] = {}
    for path in paths:
        found |= _load(path)
    return SimpleNamespace(**found)


def _load(path: Path) -> dict[str, Any]:
    file = Reader(path.read_text(encoding="utf-8")).read(path.name)
    imported = [part for name in file.dependency for part in _parts(POOL.FindFileByName(name))]
    resolve(file, [part.full_name for part in imported if hasattr(part, "fields")],
            [part.full_name for part in imported if not hasattr(part, "fields")])
    POOL.AddSerializedFile(file.SerializeToString())
    return {part.name: message_factory.GetMessageClass(part) if hasattr(part, "fields")
            else {value.name: value.number for value in part.values} for part in _parts(POOL.FindFileByName(path.name))}


def _parts(place: Any) -> Iterator[Any]:
    """The descriptors of the messages and enums of a file or message, including nested ones, without map entries."""
    messages = place.message_types_by_name if hasattr(place, "message_types_by_name") else place.nested_types_by_name
    yield from place.enum_types_by_name.values()
    for message in messages.values():
        if not message.GetOptions().map_entry:
            yield message
            yield from _parts(message)
