"""What a protocol is to the servers: the methods of gRPC and the routes of HTTP that it has, and what answers each."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arrayloom.host.serving.core import request_ids

if TYPE_CHECKING:
    from arrayloom.host.serving.core.reading import Reader
    from arrayloom.host.serving.core.service import Service

ADMIN_WANTED = ("this needs the service's admin key, which the file of --keys-file holds as \"admin\"; in a workspace "
                "arrayloom service keys NAME shows it")
"""The refusal of a request with a client's key that is for operators."""

TIMING = "Server-Timing"
"""The header, or trailing metadata, that says where the time of an answer went."""

_IDENTIFIER = request_ids.HEADER.lower()

GATEWAY_HEADER, GATEWAY_PREFIX = "x-ms-aml-grpc-service-route", "/api/v1/service/"
"""How clients of Azure Machine Learning name the service that they mean, for gateways that route by it."""


@dataclass(frozen=True)
class Method:
    """A method of gRPC.

    Parameters
    ----------
    service
        The full name of the gRPC service that has it.
    name
        Its own name, also in the metrics.
    request, response
        The classes of its messages.
    stream
        Whether many responses follow one request.
    dialog
        Whether it streams requests too, each of which has one response; its handler takes one, as that of a plain method.
    failure
        Makes the response to a request of a dialog that failed, from the reason; without, the dialog ends.
    keyless
        Whether it is answered without a key.
    admin
        Whether it needs the operator's key where there are keys.
    counted
        Whether it is measured and logged as a request, and refused where a gateway's header names another service.
    reader
        The name of what reads its requests, which may be large, into what its handler takes; others are small, and their
        handlers take the message.
    """

    service: str
    name: str
    request: Any
    response: Any
    stream: bool = False
    dialog: bool = False
    failure: Callable[[str], Any] | None = None
    keyless: bool = False
    admin: bool = False
    counted: bool = True
    reader: str = ""

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"


@dataclass(frozen=True)
class Route:
    """A path of HTTP and its verb.

    Parameters
    ----------
    verb, path
        The path has ``{name}`` for a model and ``[/versions/{version}]`` where a version may be named, with ``|`` between
        several ways to do so.
    name
        In the metrics.
    model
        The regular expression of what may stand for ``{name}``.
    keyless
        Whether it is answered without a key; for a path without ``{name}``.
    admin
        Whether it needs the operator's key where there are keys.
    """

    verb: str
    path: str
    name: str
    model: str = "[^/]+"
    keyless: bool = False
    admin: bool = False

    @property
    def patterns(self) -> list[str]:
        """The paths in the syntax of aiohttp, without the version first."""
        kinds = {"name": self.model, "version": "[^/:]+", "label": "[^/:]+"}
        return [re.sub(r"{(\w+)}", lambda found: f"{{{found[1]}:{kinds[found[1]]}}}", path) for path in self.paths]

    @property
    def paths(self) -> list[str]:
        """The path without a version first, then with each way to name one."""
        optional = re.search(r"\[(.*)]", self.path)
        ways = ["", *optional[1].split("|")] if optional else [""]
        return [re.sub(r"\[.*]", way, self.path) for way in ways]

    def at(self, name: str = "", version: object = None) -> str:
        """The path of a model, or of one version of it, as a client asks for it."""
        paths = self.paths
        return paths[min(version is not None, len(paths) - 1)].format(name=name, version=version)


class Call:
    """What a method may know of its call. ``services``: names of the gRPC services that the server has."""

    def __init__(self, context: Any, services: Sequence[str]) -> None:
        self._context, self.services = context, services

    @staticmethod
    def identified(context: Any) -> None:
        """Begins with the identifier that the client gave, or a new one, and sends it back."""
        given = next((value for key, value in context.invocation_metadata() or () if key == _IDENTIFIER), None)
        context.set_trailing_metadata(((_IDENTIFIER, request_ids.begin(given)),))

    @property
    def seconds(self) -> float | None:
        """Until the client's deadline; None where it has none."""
        return self._context.time_remaining()

    def timing(self, text: str) -> None:
        """Says to the client where the time went, as trailing metadata."""
        self._context.set_trailing_metadata(((TIMING.lower(), text), (_IDENTIFIER, request_ids.CURRENT.get())))


MethodHandler = Callable[["Service", Any, Call], Any]
"""Takes the service, the request's message or what its reader made of it, and the call; returns an awaitable response, or
an iterator of responses where the method streams. Raises ``ServiceError``."""

RouteHandler = Callable[["Service", Any], Any]
"""Takes the service and aiohttp's request; returns an awaitable response of aiohttp. Raises ``ServiceError``."""


@dataclass(frozen=True)
class Protocol:
    """A protocol's entry in the registry.

    Parameters
    ----------
    name
        As the documentation calls it.
    methods, routes
        What answers each method of gRPC and each route of HTTP.
    load
        The route by which an operator puts a model onto the device, if it has one.
    readers
        What reads large requests, by name.
    operations, schemas
        What OpenAPI says of the routes, and the schemas that it refers to.
    """

    name: str
    methods: Mapping[Method, MethodHandler]
    routes: Mapping[Route, RouteHandler] = field(default_factory=dict)
    load: Route | None = None
    readers: Mapping[str, "Reader"] = field(default_factory=dict)
    operations: Mapping[Route, Mapping[str, Any]] = field(default_factory=dict)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
