"""Parses a ``.proto`` file into protobuf's descriptor, so that no generated code ties us to one
release of protobuf.

Supported is the part of proto3 that our files use: imports, messages and enums (also nested), scalar, message,
repeated and map fields, oneof, and services.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from google.protobuf import descriptor_pb2

from arrayloom.host.serving.errors import SchemaError

Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {name: getattr(Field, f"TYPE_{name.upper()}")
            for name in ("double", "float", "int32", "int64", "uint32", "uint64", "bool", "string", "bytes")}
_TOKEN = re.compile(r'"[^"]*"|[\w.]+|[{}=;<>,()]')
_COMMENT = re.compile(r"//[^\n]*")


class Reader:
    """One file, token by token."""

    def __init__(self, text: str) -> None:
        self._tokens: Iterator[str] = iter(_TOKEN.findall(_COMMENT.sub("", text)))
        self.file = descriptor_pb2.FileDescriptorProto(syntax="proto3")

    def read(self, name: str) -> Any:
        """The file under that name, with field types as written in the text; see ``resolve``."""
        self.file.name = name
        kinds = {"enum": lambda: self._enum(self.file), "message": lambda: self._message(self.file.message_type),
                 "service": self._service}
        for token in self._tokens:
            if token == "syntax":
                self._expect("=", '"proto3"', ";")
            elif token == "package":
                self.file.package = next(self._tokens)
                self._expect(";")
            elif token == "import":
                self.file.dependency.append(self._text())
                self._expect(";")
            elif token in kinds:
                kinds[token]()
            else:
                raise SchemaError(f"unexpected {token!r}")
        return self.file

    def _expect(self, *wanted: str) -> None:
        for each in wanted:
            if (token := next(self._tokens)) != each:
                raise SchemaError(f"{token!r} where {each!r} belongs")

    def _text(self) -> str:
        token = next(self._tokens)
        if token[0] != '"':
            raise SchemaError(f"{token!r} where a quoted name is expected")
        return token.strip('"')

    def _body(self) -> Iterator[str]:
        """The first token of each part between braces."""
        self._expect("{")
        while (token := next(self._tokens)) != "}":
            yield token

    def _enum(self, place: Any) -> None:
        enum = place.enum_type.add(name=next(self._tokens))
        for token in self._body():
            self._expect("=")
            enum.value.add(name=token, number=int(next(self._tokens)))
            self._expect(";")

    def _message(self, place: Any) -> None:
        message = place.add(name=next(self._tokens))
        kinds = {"oneof": lambda: self._oneof(message), "map": lambda: self._map(message),
                 "enum": lambda: self._enum(message), "message": lambda: self._message(message.nested_type)}
        for token in self._body():
            if token in kinds:
                kinds[token]()
            else:
                self._field(message, token)

    def _service(self) -> None:
        service = self.file.service.add(name=next(self._tokens))
        for token in self._body():
            if token != "rpc":
                raise SchemaError(f"{token!r} where 'rpc' is expected")
            method = service.method.add(name=next(self._tokens))
            method.client_streaming, method.input_type = self._argument()
            self._expect("returns")
            method.server_streaming, method.output_type = self._argument()
            self._expect(";")

    def _argument(self) -> tuple[bool, str]:
        self._expect("(")
        kind = next(self._tokens)
        stream = kind == "stream"
        kind = next(self._tokens) if stream else kind
        self._expect(")")
        return stream, kind

    def _oneof(self, message: Any) -> None:
        message.oneof_decl.add(name=next(self._tokens))
        for token in self._body():
            self._field(message, token).oneof_index = len(message.oneof_decl) - 1

    def _field(self, message: Any, first: str) -> Any:
        repeated = first == "repeated"
        kind, name = next(self._tokens) if repeated else first, next(self._tokens)
        self._expect("=")
        field = _add(message, name, int(next(self._tokens)), kind, repeated)
        self._expect(";")
        return field

    def _map(self, message: Any) -> None:
        self._expect("<")
        key = next(self._tokens)
        self._expect(",")
        value = next(self._tokens)
        self._expect(">")
        name = next(self._tokens)
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add(entry, "key", 1, key, False)
        _add(entry, "value", 2, value, False)
        self._expect("=")
        _add(message, name, int(next(self._tokens)), entry.name, True)
        self._expect(";")


def _add(message: Any, name: str, number: int, kind: str, repeated: bool) -> Any:
    field = message.field.add(name=name, number=number, label=Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL,
                              json_name=re.sub("_(.)", lambda found: found[1].upper(), name))
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type_name = kind
    return field


def resolve(file: Any, messages: Collection[str], enums: Collection[str]) -> None:
    """Resolves the types of the fields and methods of ``file`` to full names; ``messages`` and ``enums`` come from its
    imports.

    Raises ``SchemaError`` for an unknown type.
    """
    known = dict.fromkeys(messages, Field.TYPE_MESSAGE) | dict.fromkeys(enums, Field.TYPE_ENUM)
    for scope, message in _messages(file, file.package):
        known |= {scope: Field.TYPE_MESSAGE} | {f"{scope}.{enum.name}": Field.TYPE_ENUM for enum in message.enum_type}
    known |= {f"{file.package}.{enum.name}": Field.TYPE_ENUM for enum in file.enum_type}
    for scope, message in _messages(file, file.package):
        for field in message.field:
            if field.type_name:
                full = _full_name(field.type_name, scope, known)
                field.type, field.type_name = known[full], f".{full}"
    for service in file.service:
        for method in service.method:
            method.input_type = f".{_full_name(method.input_type, file.package, known)}"
            method.output_type = f".{_full_name(method.output_type, file.package, known)}"


def _messages(place: Any, scope: str) -> Iterator[tuple[str, Any]]:
    """The messages of a file or message, including nested ones, with their full names."""
    for message in place.message_type if hasattr(place, "message_type") else place.nested_type:
        yield f"{scope}.{message.name}", message
        yield from _messages(message, f"{scope}.{message.name}")


def _full_name(name: str, scope: str, known: Collection[str]) -> str:
    """Looks a name up from the innermost scope outwards, as protobuf does."""
    parts = scope.split(".")
    for end in range(len(parts), -1, -1):
        full = ".".join([*parts[:end], name])
        if full in known:
            return full
    raise SchemaError(f"type {name!r} in {scope} is unknown")
