"""The options of what the host may compute and what may be rounded, and how outputs name it."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from arrayloom.compiler.frontend.options import HostPolicy, ImportOptions
from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.serving.errors import BundleError
from arrayloom.isa.host_parts import HostPart, HostWork, InsertedRounding

HOST = "host"   # how the line begins that names head and tail
_SHOWN = 3      # operators in a line for people


class Compiled(Protocol):
    """A program, an imported graph, or what was found about one."""

    @property
    def host(self) -> HostWork: ...

    @property
    def inserted_roundings(self) -> Sequence[InsertedRounding]: ...


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """Options that ``import_options`` reads."""
    group = parser.add_argument_group("how a model is compiled", "for a MODEL.onnx; a program is compiled already")
    host = group.add_mutually_exclusive_group()
    host.add_argument("--no-host", dest="host_policy", action="store_const", const=HostPolicy.NONE, default=HostPolicy.SMALL,
                      help="refuse a network of which the host would compute anything in float but quantization, softmax, "
                           "reshapes and transposes at its border")
    host.add_argument("--host-tail", dest="host_policy", action="store_const", const=HostPolicy.ANY,
                      help="let the host compute more than 1 %% of the multiply-accumulates, at the beginning and the end")
    group.add_argument("--insert-rounding", action="store_true",
                       help="quantize values between two integer layers that the model has in float, and say which")


def add_bundle_options(parser: argparse.ArgumentParser) -> None:
    """The same options for bundles, whose programs are compiled already; ``check_bundles`` reads them."""
    group = parser.add_argument_group("what a bundle's program may be", "the choice was made when it was compiled")
    host = group.add_mutually_exclusive_group()
    host.add_argument("--no-host", action="store_true",
                      help="refuse a bundle of whose network the host computes a part in float")
    host.add_argument("--host-tail", action="store_true", help="take bundles with a part of any size on the host (default)")
    group.add_argument("--insert-rounding", action="store_true",
                       help="take bundles with values quantized that the model has in float (default)")


def check_bundles(options: argparse.Namespace) -> None:
    """Raises ``BundleError`` for a bundle that ``--no-host`` does not let pass."""
    if not options.no_host:
        return
    for folder in options.bundles:
        for line in lines_of_host(Bundle.load(folder).program):
            if line.startswith(HOST):
                raise BundleError(f"{folder}: --no-host: the host computes a {line.removeprefix(HOST).strip()}; leave the "
                                  "option out, or compile a model without")


def import_options(options: argparse.Namespace) -> ImportOptions:
    """What the command line permits."""
    return ImportOptions(options.host_policy, options.insert_rounding)


def figures_of_host(compiled: Compiled) -> dict[str, Any]:
    """What the host computes and what was rounded, under the names that ``--json`` gives them."""
    return {"host": compiled.host.to_json(),
            "inserted_roundings": [asdict(rounding) for rounding in compiled.inserted_roundings]}


def lines_of_host(compiled: Compiled) -> Iterator[str]:
    """The same as lines for people; none where there is nothing to tell."""
    parts = [_in_words(name, part) for name, part in compiled.host.parts.items() if part.nodes]
    if parts:
        yield f"{HOST:13}{' and '.join(parts)}, {compiled.host.share:.1%} of the multiply-accumulates"
    for rounding in compiled.inserted_roundings:
        yield (f"rounded      {rounding.value} of {rounding.node}, to {rounding.dtype} by {rounding.scale:.6g}, "
               f"{rounding.zero_point}")


def _in_words(name: str, part: HostPart) -> str:
    operators = list(dict.fromkeys(node.op for node in part.nodes))
    shown = ", ".join([*operators[:_SHOWN], *(["..."] if len(operators) > _SHOWN else [])])
    return f"{name} of {len(part.nodes)} node{'s' if len(part.nodes) > 1 else ''} ({shown})"
