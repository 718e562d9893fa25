"""The options that limit what the host may compute and which float values may be rounded."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from arrayloom.compiler.frontend.options import HostPolicy, ImportOptions
from arrayloom.host.runtime.host_report import HOST, lines_of_host
from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.serving.errors import BundleError


def add_import_options(parser: argparse.ArgumentParser, takes_programs: bool = False) -> None:
    """Adds the options that ``import_options`` reads; ``takes_programs``: whether the command also accepts program files."""
    about = "for a MODEL.onnx; a program is already compiled" if takes_programs else None
    group = parser.add_argument_group("how a model is compiled", about)
    host = group.add_mutually_exclusive_group()
    host.add_argument("--no-host", dest="host_policy", action="store_const", const=HostPolicy.NONE, default=HostPolicy.SMALL,
                      help="refuse a network if the host would compute anything in float except quantization, softmax, "
                           "reshapes and transposes at its border")
    host.add_argument("--host-tail", dest="host_policy", action="store_const", const=HostPolicy.ANY,
                      help="let the host compute more than 1 %% of the multiply-accumulates, at the beginning and the end")
    group.add_argument("--insert-rounding", action="store_true",
                       help="quantize float values between two integer layers, and list them")


def add_bundle_options(parser: argparse.ArgumentParser) -> None:
    """Adds the same options for bundles, whose programs are already compiled; ``check_bundles`` reads them."""
    group = parser.add_argument_group("how a model is compiled, and which bundles are accepted",
                                      "for a bundle this was chosen when it was compiled")
    host = group.add_mutually_exclusive_group()
    host.add_argument("--no-host", action="store_true",
                      help="refuse a network if the host computes a part in float")
    host.add_argument("--host-tail", action="store_true",
                      help="let the host compute more than 1 %% of a model; bundles may do so anyway")
    group.add_argument("--insert-rounding", action="store_true",
                       help="quantize float values of a model; bundles may do so anyway")


def options_of_models(options: argparse.Namespace) -> ImportOptions:
    """What the options of ``add_bundle_options`` permit when a model is compiled."""
    policy = HostPolicy.NONE if options.no_host else HostPolicy.ANY if options.host_tail else HostPolicy.SMALL
    return ImportOptions(policy, options.insert_rounding)


def check_bundles(options: argparse.Namespace, folders: Iterable[Path]) -> None:
    """Raises ``BundleError`` for a bundle that ``--no-host`` forbids."""
    if not options.no_host:
        return
    for folder in folders:
        for line in lines_of_host(Bundle.load(folder).program):
            if line.startswith(HOST):
                raise BundleError(f"{folder}: --no-host: the host computes a {line.removeprefix(HOST).strip()}; leave the "
                                  "option out, or compile a model without")


def import_options(options: argparse.Namespace) -> ImportOptions:
    """The import options of the command line."""
    return ImportOptions(options.host_policy, options.insert_rounding)
