"""The protocols' ``.proto`` files for other languages: our messages under the public names, with their services."""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from arrayloom.host.serving.core.protocol import Method, Protocol
from arrayloom.host.serving.protocols.registry import PROTOCOLS

_PACKAGE = re.compile(r"^package [\w.]+;$", re.MULTILINE)


def proto_files(protocols: Iterable[Protocol] = PROTOCOLS) -> dict[str, str]:
    """Of each file its name and its text.

    Messages are in the package of the service that takes them: what a compiler makes of the file calls the public paths.
    """
    methods = [method for protocol in protocols for method in protocol.methods]
    ordered = sorted(methods, key=_file)
    return {name: _text(name, list(group)) for name, group in itertools.groupby(ordered, _file)}


def _file(method: Method) -> str:
    return PurePath(method.request.DESCRIPTOR.file.name).name


def _text(name: str, methods: list[Method]) -> str:
    (path,) = Path(__file__).parent.glob(f"*/{name}")
    (package,) = {method.service.rpartition(".")[0] for method in methods}
    messages = _PACKAGE.sub(f"package {package};", path.read_text(encoding="utf-8"), count=1)
    services = dict.fromkeys(method.service for method in methods)
    return messages + "".join(_service(service, methods) for service in services)


def _service(service: str, methods: list[Method]) -> str:
    calls = "".join(_call(method) for method in methods if method.service == service)
    return f"\nservice {service.rpartition('.')[2]} {{\n{calls}}}\n"


def _call(method: Method) -> str:
    answer = f"{'stream ' if method.stream else ''}{method.response.DESCRIPTOR.name}"
    return f"  rpc {method.name}({method.request.DESCRIPTOR.name}) returns ({answer});\n"
