"""``arrayloom serve``: models and bundles over gRPC and HTTP."""

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from enum import EnumType
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrayloom.host.cli.common import add_command, add_json, require_writable
from arrayloom.host.cli.import_options import add_bundle_options, check_bundles
from arrayloom.host.cli.serve_models import add_models, as_bundles, check
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving.core.settings import Settings
from arrayloom.isa.files import write_atomically

if TYPE_CHECKING:
    from arrayloom.host.serving.server import Running

LEVELS = ("debug", "info", "warning", "error")
OPTIONS = {
    "name": "name of the service",
    "host": "address to listen on (default: loopback)",
    "port": "gRPC port, 0 for any free one",
    "http_port": "HTTP port, 0 for any free one",
    "metrics_port": "separate port for /metrics, without keys and TLS; 0 for any free one",
    "backend": "backend: emulator or rtl",
    "replicas": "number of processes, each with its own device",
    "threads": "threads of each replica's emulator; 0: the replicas share the cores",
    "spares": "standby processes that replace lost replicas",
    "reflash": "for requests for a model that is not on the device: wait (load the model), or refuse (503)",
    "queue": "number of requests that may wait",
    "timeout": "most seconds from a request's acceptance to its answer",
    "turn": "seconds that a model keeps the device while requests for another wait",
    "attempts": "how often a request is run if its replicas are lost",
    "device_timeout": "most seconds of one run; then the replica is replaced",
    "receive_timeout": "most seconds for a request to arrive",
    "grace": "seconds to finish accepted requests at shutdown",
    "memory": "bytes of all requests in flight together",
    "max_message": "largest message in bytes",
    "max_image": "largest encoded image in bytes",
    "max_pixels": "largest image in pixels",
    "max_batch": "images in one request",
    "tls_cert": "certificate chain in PEM, reloaded when it changes",
    "tls_key": "its key in PEM",
    "keys_file": "keys of the clients: JSON with primary, secondary and admin (to load models), reloaded when it changes",
    "page": "do not serve a web page at /",
    "access_log": "file for one JSON line per request, or - for standard error",
}


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "serve", _run, "serve models over gRPC and HTTP until stopped",
                         "arrayloom serve resnet18_int8.onnx --preprocess imagenet --labels imagenet")
    parser.add_argument("bundles", type=Path, nargs="*", metavar="MODEL|BUNDLE",
                        help="quantized .onnx, which is compiled first, program (.loom), or folder of a bundle; the first "
                             "is "
                             "the default model")
    add_models(parser)
    add_settings(parser, OPTIONS)
    add_bundle_options(parser)
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="lowest level logged to standard error "
                                                                            "(default info)")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="file to write, as JSON, when the service is ready")
    add_json(parser)


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Adds options for the named settings; ``given_settings`` reads them."""
    for name in names:
        default = getattr(Settings, name)
        if default is True:
            parser.add_argument(f"--no-{name}", dest=name, action="store_false", help=OPTIONS[name],
                                default=argparse.SUPPRESS)
            continue
        text = OPTIONS[name] if default is None else f"{OPTIONS[name]} (default {default})"
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, metavar=_metavar(name), default=argparse.SUPPRESS)


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The given settings, each converted to its type."""
    kinds: dict[str, Any] = {field.name: field.type for field in fields(Settings)}
    return {name: _value(name, kinds[name], getattr(options, name)) for name in OPTIONS if name in options}


def _metavar(name: str) -> str:
    return name.rsplit("_", 1)[-1].upper()


def _run(options: argparse.Namespace) -> int:
    try:
        from arrayloom.host.serving.core.logs import set_up
        from arrayloom.host.serving.server import serve
    except ModuleNotFoundError as error:
        raise InputError(f"arrayloom serve needs the package {error.name}; install it with: "
                         "pip install '.[serve]'") from None
    if options.ready_file:
        require_writable(options.ready_file)
    settings = Settings(**given_settings(options))
    check(options)
    set_up(options.log_level)
    with as_bundles(options) as (bundles, labels):
        check_bundles(options, bundles)
        asyncio.run(serve(bundles, settings, lambda running: _announce(options, running), labels))
    return 0


def _value(name: str, kind: Any, text: Any) -> Any:
    """Converts the option's text to the type of its setting; values set by the option itself stay."""
    if not isinstance(text, str):
        return text
    make: Callable[[str], Any] = next((each for each in (Path, int) if kind == each | None), kind)
    try:
        return make(text)
    except ValueError:
        wanted = " or ".join(kind) if isinstance(kind, EnumType) else f"a number ({make.__name__})"
        raise InputError(f"--{name.replace('_', '-')} {text}: must be {wanted}") from None


def _announce(options: argparse.Namespace, running: "Running") -> None:
    facts = running.facts()
    if options.ready_file:
        with write_atomically(options.ready_file) as file:
            file.write(json.dumps(facts).encode())
    if options.json:
        print(json.dumps(facts), flush=True)
        return
    scheme = "https" if facts["tls"] else "http"
    print(f"{facts['name']} serves {', '.join(facts['models'])}\n  gRPC {facts['host']}:{facts['port']}\n"
          f"  HTTP {scheme}://{facts['host']}:{facts['http_port']}", flush=True)
