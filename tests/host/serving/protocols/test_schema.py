"""The reader of ``.proto`` files: it yields the public names, and refuses syntax that it does not support."""

import pytest

from arrayloom.host.serving.errors import SchemaError
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.host.serving.protocols.schema import POOL
from arrayloom.host.serving.protocols.schema_reader import Reader, resolve


@pytest.mark.parametrize("text", ["import x;", "message A { int32 b 1; }", 'syntax = "proto2";', "service A { stream }"])
def test_schemas_that_are_not_understood(text: str) -> None:
    with pytest.raises(SchemaError):
        Reader(text).read("x.proto")


def test_types_that_are_nowhere() -> None:
    file = Reader("package p; message A { B b = 1; }").read("x.proto")
    with pytest.raises(SchemaError, match=r"type 'B' in p\.A is unknown"):
        resolve(file, [], [])


def test_types_are_found_from_the_inside_outwards() -> None:
    text = "package p.q; enum E { Z = 0; } message A { message E { int32 v = 1; } E near = 1; q.E far = 2; o.M other = 3; }"
    file = Reader(text).read("x.proto")
    resolve(file, ["p.o.M"], [])
    assert [field.type_name for field in file.message_type[0].field] == [".p.q.A.E", ".p.q.E", ".p.o.M"]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)
def test_services_are_those_that_are_answered(protocol: object) -> None:
    """Method by method: names, messages and streaming in both directions."""
    methods = {method.path: method for method in protocol.methods}  # type: ignore[attr-defined]
    described = {f"/{service.full_name}/{each.name}": each for service in
                 {POOL.FindServiceByName(method.service) for method in methods.values()} for each in service.methods}
    assert set(methods) == set(described)
    for path, method in methods.items():
        assert described[path].input_type.name == method.request.DESCRIPTOR.name
        assert described[path].output_type.name == method.response.DESCRIPTOR.name
        assert (described[path].server_streaming, described[path].client_streaming) == (method.stream, method.dialog)
