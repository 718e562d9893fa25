"""``arrayloom demo``: runs the packaged digits network on the RTL, from image file to class."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_backend, add_command, add_config, add_json, print_json
from arrayloom.host.cli.verdict_report import figures, lines_of_verdict
from arrayloom.host.cli.verify import verify_watched
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.vision.classify import load_labels, rank


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "demo", _run, "classify a handwritten digit on the simulated accelerator",
                         "arrayloom demo")
    parser.add_argument("image", type=Path, nargs="?", default=digits.IMAGES / "digit_7_1496.png", metavar="IMAGE",
                        help="a digit, bright on dark (default: one in the package)")
    add_config(parser, default="tiny")
    add_backend(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    verdict = verify_watched(digits.MODEL, [options.image], "digits", options.config, options.backend, options.json,
                             lambda config: open_device(options.backend, config, options.board_port))
    (scores,) = verdict.outputs.values()
    ranking = rank(scores, 3, load_labels(digits.LABELS))
    if options.json:
        print_json({"image": str(options.image), "config": options.config, "backend": options.backend,
                    "top": [vars(entry) for entry in ranking]} | figures(verdict))
    else:
        print(options.image)
        for entry in ranking:
            print(f"  {entry.confidence:7.2%}  {entry.label}")
        print("\n".join(lines_of_verdict(verdict)))
    return 0 if verdict.equal else 1
