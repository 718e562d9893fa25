"""What the servers know about a protocol: its gRPC methods and HTTP routes, and the handler of each."""

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
"""The refusal of an operator's request that comes with a client's key."""

TIMING = "Server-Timing"
"""The header, or trailing metadata, with the timing of an answer."""

_IDENTIFIER = request_ids.HEADER.lower()

GATEWAY_HEADER, GATEWAY_PREFIX = "x-ms-aml-grpc-service-route", "/api/v1/service/"
"""The header in which Azure Machine Learning's clients name the service; gateways route by it."""


@dataclass(frozen=True)
class Method:
    """A method of gRPC.

    Parameters
    ----------
    service
        The full name of the gRPC service that has it.
    name
        The method's name, also used in the metrics.
    request, response
        The message classes.
    stream
        Whether one request has a stream of responses.
    dialog
        Whether requests are streamed too, with one response each; the handler takes one request, as for a unary method.
    failure
        Makes the response to a failed request of such a stream from the reason; if None, a failure ends the stream.
    keyless
        Whether no key is needed.
    admin
        Whether it needs the operator's key where there are keys.
    counted
        Whether it is measured and logged as a request, and refused if the gateway header names another service.
    reader
        The name of the reader that parses possibly large requests for the handler; without one, requests are small and the
        handler takes the message itself.
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
    """An HTTP route.

    Parameters
    ----------
    verb, path
        The path contains ``{name}`` for a model and ``[/versions/{version}]`` for an optional version; ``|`` separates
        alternative forms.
    name
        The name in the metrics.
    model
        The regular expression that ``{name}`` must match.
    keyless
        Whether no key is needed; only for a path without ``{name}``.
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
        """The path without a version, then one path for each form of a version."""
        optional = re.search(r"\[(.*)]", self.path)
        ways = ["", *optional[1].split("|")] if optional else [""]
        return [re.sub(r"\[.*]", way, self.path) for way in ways]

    def at(self, name: str = "", version: object = None) -> str:
        """The path of a model, or of one version of it, as a client asks for it."""
        paths = self.paths
        return paths[min(version is not None, len(paths) - 1)].format(name=name, version=version)


class Call:
    """A method's view of its call. ``services``: names of the server's gRPC services."""

    def __init__(self, context: Any, services: Sequence[str]) -> None:
        self._context, self.services = context, services

    @staticmethod
    def identified(context: Any) -> None:
        """Sets the identifier to the client's or a new one, and returns it to the client."""
        given = next((value for key, value in context.invocation_metadata() or () if key == _IDENTIFIER), None)
        context.set_trailing_metadata(((_IDENTIFIER, request_ids.begin(given)),))

    @property
    def seconds(self) -> float | None:
        """Seconds until the client's deadline; None if it set none."""
        return self._context.time_remaining()

    def timing(self, text: str) -> None:
        """Sends the timing of the answer as trailing metadata."""
        self._context.set_trailing_metadata(((TIMING.lower(), text), (_IDENTIFIER, request_ids.CURRENT.get())))


MethodHandler = Callable[["Service", Any, Call], Any]
"""Takes the service, the request's message (or its reader's result) and the call; returns an awaitable response, or
an iterator of responses if the method streams. Raises ``ServiceError``."""

RouteHandler = Callable[["Service", Any], Any]
"""Takes the service and aiohttp's request; returns an awaitable response of aiohttp. Raises ``ServiceError``."""


@dataclass(frozen=True)
class Protocol:
    """A protocol's entry in the registry.

    Parameters
    ----------
    name
        The protocol's name in the documentation.
    methods, routes
        The handler of each gRPC method and HTTP route.
    load
        The route by which an operator loads a model, if there is one.
    readers
        Readers of large requests, by name.
    operations, schemas
        The routes' OpenAPI operations, and the schemas they refer to.
    """

    name: str
    methods: Mapping[Method, MethodHandler]
    routes: Mapping[Route, RouteHandler] = field(default_factory=dict)
    load: Route | None = None
    readers: Mapping[str, "Reader"] = field(default_factory=dict)
    operations: Mapping[Route, Mapping[str, Any]] = field(default_factory=dict)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
