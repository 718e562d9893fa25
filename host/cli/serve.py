"""``arrayloom serve``: bundles over gRPC and HTTP."""

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
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving.core.settings import Settings
from arrayloom.isa.files import write_atomically

if TYPE_CHECKING:
    from arrayloom.host.serving.server import Running

LEVELS = ("debug", "info", "warning", "error")
OPTIONS = {
    "name": "name of the service",
    "host": "address to listen at; loopback unless told otherwise",
    "port": "port of gRPC, 0 for any free one",
    "http_port": "port of HTTP, 0 for any free one",
    "metrics_port": "a port of its own for /metrics, without keys and TLS; 0 for any free one",
    "backend": "what executes: emulator or rtl",
    "replicas": "processes, each with a device of its own",
    "threads": "threads of each replica's emulator; 0: the replicas share the cores",
    "spares": "processes that stand ready for replicas that are lost",
    "reflash": "requests for a model that is not on the device: wait (it is loaded), or refuse (503)",
    "queue": "requests that may wait",
    "timeout": "seconds from a request's acceptance to its answer, at most",
    "turn": "seconds that a model keeps the device while requests for another wait",
    "attempts": "runs of a request whose replica is lost",
    "device_timeout": "seconds for one run, after which the replica is replaced",
    "receive_timeout": "seconds for a request to arrive",
    "grace": "seconds to finish what is accepted when told to stop",
    "memory": "bytes of all requests in flight together",
    "max_message": "largest message in bytes",
    "max_image": "largest encoded image in bytes",
    "max_pixels": "largest image in pixels",
    "max_batch": "images in one request",
    "tls_cert": "certificate chain in PEM",
    "tls_key": "its key in PEM",
    "keys_file": "keys of the clients: JSON with primary and secondary, read again when it changes",
}


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "serve", _run, "serve bundles over gRPC and HTTP until told to stop",
                         "arrayloom serve digits-bundle --port 0 --json")
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE",
                        help="folder of a bundle; the first answers by default")
    add_settings(parser, OPTIONS)
    add_bundle_options(parser)
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="what goes to standard error (default info)")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="written, as JSON, when the service is ready")
    add_json(parser)


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Options for settings, by name; ``given_settings`` reads them."""
    for name in names:
        default = getattr(Settings, name)
        text = OPTIONS[name] if default is None else f"{OPTIONS[name]} (default {default})"
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, metavar=_metavar(name), default=argparse.SUPPRESS)


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, each as its type."""
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
    check_bundles(options)
    set_up(options.log_level)
    asyncio.run(serve(options.bundles, settings, lambda running: _announce(options, running)))
    return 0


def _value(name: str, kind: Any, text: str) -> Any:
    """The option's text as the type of its setting."""
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
