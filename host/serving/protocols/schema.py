"""Reads the ``.proto`` files of the protocols into message classes, at import, so that no generated code ties us to one
release of protobuf.

The messages are compatible with the public protocols by their field numbers. They live in a pool of our own, so that the
official packages of the same protocols can be imported too. Understood: messages, enums, scalar, message, repeated and map
fields, and oneof; all of proto3's syntax that the files use, nothing more.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from arrayloom.host.serving.errors import SchemaError

Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {name: getattr(Field, f"TYPE_{name.upper()}")
            for name in ("double", "float", "int32", "int64", "uint32", "uint64", "bool", "string", "bytes")}
_POOL = descriptor_pool.DescriptorPool()


def load(path: Path) -> SimpleNamespace:
    """The messages (as classes) and enums (as name to number) of a ``.proto`` file, by name."""
    file = _Reader(path.read_text(encoding="utf-8")).read(f"arrayloom/{path.name}")
    _POOL.AddSerializedFile(file.SerializeToString())
    package = file.package
    classes = {message.name: message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{package}.{message.name}"))
               for message in file.message_type}
    enums = {enum.name: {value.name: value.number for value in enum.value} for enum in file.enum_type}
    return SimpleNamespace(**classes, **enums)


class _Reader:
    """One file, token by token."""

    def __init__(self, text: str) -> None:
        self.tokens: Iterator[str] = iter(re.findall(r'"[^"]*"|[\w.]+|[{}=;<>,]', re.sub(r"//[^\n]*", "", text)))
        self.file = descriptor_pb2.FileDescriptorProto(syntax="proto3")
        self.enums: set[str] = set()

    def read(self, name: str) -> Any:
        self.file.name = name
        for token in self.tokens:
            if token == "syntax":
                self.expect("=", '"proto3"', ";")
            elif token == "package":
                self.file.package = next(self.tokens)
                self.expect(";")
            elif token == "enum":
                self.enum()
            elif token == "message":
                self.message()
            else:
                raise SchemaError(f"unexpected {token!r}")
        self.resolve()
        return self.file

    def expect(self, *wanted: str) -> None:
        for each in wanted:
            if (token := next(self.tokens)) != each:
                raise SchemaError(f"{token!r} where {each!r} belongs")

    def enum(self) -> None:
        enum = self.file.enum_type.add(name=next(self.tokens))
        self.enums.add(enum.name)
        self.expect("{")
        while (token := next(self.tokens)) != "}":
            self.expect("=")
            enum.value.add(name=token, number=int(next(self.tokens)))
            self.expect(";")

    def message(self) -> None:
        message = self.file.message_type.add(name=next(self.tokens))
        self.expect("{")
        while (token := next(self.tokens)) != "}":
            if token == "oneof":
                self.oneof(message)
            elif token == "map":
                self.map(message)
            else:
                self.field(message, token)

    def oneof(self, message: Any) -> None:
        message.oneof_decl.add(name=next(self.tokens))
        self.expect("{")
        while (token := next(self.tokens)) != "}":
            self.field(message, token).oneof_index = len(message.oneof_decl) - 1

    def field(self, message: Any, first: str) -> Any:
        repeated = first == "repeated"
        kind, name = next(self.tokens) if repeated else first, next(self.tokens)
        self.expect("=")
        field = _add(message, name, int(next(self.tokens)), kind, repeated)
        self.expect(";")
        return field

    def map(self, message: Any) -> None:
        self.expect("<")
        key = next(self.tokens)
        self.expect(",")
        value = next(self.tokens)
        self.expect(">")
        name = next(self.tokens)
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add(entry, "key", 1, key, False)
        _add(entry, "value", 2, value, False)
        self.expect("=")
        _add(message, name, int(next(self.tokens)), f"{message.name}.{entry.name}", True)
        self.expect(";")

    def resolve(self) -> None:
        """Fields of our own types get their kind once all enums are known."""
        for message in self.file.message_type:
            for part in (message, *message.nested_type):
                for field in part.field:
                    if field.type_name:
                        field.type = Field.TYPE_ENUM if field.type_name in self.enums else Field.TYPE_MESSAGE
                        field.type_name = f".{self.file.package}.{field.type_name}"


def _add(message: Any, name: str, number: int, kind: str, repeated: bool) -> Any:
    field = message.field.add(name=name, number=number, label=Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type_name = kind
    return field
