"""``arrayloom fetch``: a trained network from the public model zoo."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.bar import progress_bar
from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.host.models.networks import SPECS, find_spec
from arrayloom.host.models.networks.model_zoo import default_folder, fetch


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "fetch", _run, "download a trained network from the public ONNX model zoo",
                         "arrayloom fetch resnet50")
    parser.add_argument("name", metavar="NAME", help=", ".join(spec.name for spec in SPECS.values() if spec.zoo))
    parser.add_argument("--folder", type=Path, metavar="DIR", help=f"where it goes (default {default_folder()})")
    parser.add_argument("--url", metavar="URL", help="another address, such as a mirror's")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    spec = find_spec(options.name)
    with progress_bar(f"fetching {spec.name}", options.json, unit="bytes") as progress:
        path = fetch(spec, options.folder, options.url, progress)
    if options.json:
        print_json({"network": spec.name, "file": str(path), "recipe": spec.recipe})
    else:
        print(f"{path}\nbuild it with: arrayloom network {spec.name} --weights {path} --calibrate DIR "
              f"-o {spec.name}_int8.onnx")
    return 0
