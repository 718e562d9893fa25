"""gRPC's server reflection, under both names that clients use: describes the services and their messages.

The library grpcio-reflection answers from our own descriptor pool, in which everything has its public name.
"""

from typing import Any

from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import ReflectionServicer

from arrayloom.host.serving.core.protocol import Call, Method, Protocol
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.protocols.schema import POOL

FORMER, CURRENT = "grpc.reflection.v1alpha", "grpc.reflection.v1"


def _add_to_pool(package: str) -> None:
    """Adds the reflection's own messages; those of both packages differ only in the package name."""
    file = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name, file.package = f"{package}.proto", package
    fields = [field for message in file.message_type for field in message.field if field.type_name]
    for part, names in [*((field, ("type_name",)) for field in fields),
                        *((method, ("input_type", "output_type")) for service in file.service for method in service.method)]:
        for name in names:
            setattr(part, name, getattr(part, name).replace(f".{FORMER}.", f".{package}."))
    POOL.AddSerializedFile(file.SerializeToString())


def _method(package: str) -> Method:
    return Method(f"{package}.ServerReflection", "ServerReflectionInfo", reflection_pb2.ServerReflectionRequest,
                  reflection_pb2.ServerReflectionResponse, stream=True, dialog=True, counted=False)


async def reflect(_: Service, message: Any, call: Call) -> Any:
    """Answers one request with one response; the library expects a stream of requests."""
    return next(iter(ReflectionServicer(call.services, POOL).ServerReflectionInfo(iter([message]), None)))


for _package in (FORMER, CURRENT):
    _add_to_pool(_package)

REFLECTION = Protocol("gRPC reflection", {_method(FORMER): reflect, _method(CURRENT): reflect})
