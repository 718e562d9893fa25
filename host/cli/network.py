"""``arrayloom network`` and ``fetch``: one of the five networks as an ONNX file, and its trained weights."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.bar import progress_bar, step_progress
from arrayloom.host.cli.common import add_command, add_json, print_json, require_writable
from arrayloom.host.models.networks import SPECS, Built, build_float, build_quantized, find_spec
from arrayloom.host.models.networks.model_zoo import default_folder, fetch
from arrayloom.host.models.quantize import METHODS, Calibration
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.outputs import save_model


def add_network(commands: Any) -> None:
    parser = add_command(commands, "network", _network, "write one of the five networks as ONNX, quantized or float",
                         "arrayloom network resnet50 --weights resnet50.pth --calibrate photographs -o resnet50_int8.onnx")
    parser.add_argument("name", metavar="NAME", help=", ".join(SPECS))
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, metavar="FILE",
                        help="state_dict of torchvision's model (.npz, .safetensors, .pth), or an ONNX file of it")
    source.add_argument("--random", type=int, metavar="SEED", help="random weights: bits and cycles are meaningful, "
                                                                   "classes are not")
    parser.add_argument("--calibrate", type=Path, metavar="DIR|FILE.npz",
                        help="photographs or arrays; by default, random weights are calibrated on seeded pictures")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe that the weights expect (default torchvision's)")
    parser.add_argument("--method", choices=tuple(METHODS), default=next(iter(METHODS)),
                        help="how ranges are computed from the calibration (default %(default)s)")
    parser.add_argument("--classes", type=int, metavar="N", help="number of classes, if not the usual one")
    parser.add_argument("--float", dest="as_float", action="store_true", help="write the float network, without "
                                                                              "quantization")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    add_json(parser)


def _network(options: argparse.Namespace) -> int:
    require_writable(options.output)
    if options.random is not None and options.random < 0:
        raise InputError(f"--random {options.random}: a seed is a whole number from 0")
    if options.as_float and options.calibrate:
        raise InputError("--calibrate: the float network has no ranges; leave out either this or --float")
    spec = find_spec(options.name)
    network = build_float(spec, options.weights, options.random, options.preprocess, options.classes)
    if not options.as_float:
        with step_progress(options.json) as progress:
            network = build_quantized(network, _calibration(options, network), options.method, progress)
    save_model(network.model, options.output)
    _print(options, network)
    return 0


def _calibration(options: argparse.Namespace, network: Built) -> Calibration | None:
    if options.calibrate is None:
        return None
    return Calibration.from_path(options.calibrate, network.provenance.recipe, takes_arrays=True)


def _print(options: argparse.Namespace, network: Built) -> None:
    provenance, alive = network.provenance, network.liveness
    if options.json:
        print_json({"network": network.spec.name, "title": network.spec.title, "output": str(options.output),
                    "quantized": not options.as_float, "weights": provenance.weights, "sha256": provenance.digest,
                    "recipe": provenance.recipe, "notice": provenance.notice,
                    "liveness": alive._asdict() if alive else None,
                    "normalization": network.normalization._asdict() if network.normalization else None})
        return
    print(f"network      {network.spec.title}{', float' if options.as_float else ', int8'}")
    print(f"weights      {provenance.weights}, SHA-256 {provenance.digest[:16]}")
    print(f"recipe       {provenance.recipe}")
    if alive:
        print(f"alive        all {alive.tensors} tensors; the poorest uses {alive.values_used} of 256 values "
              f"({alive.poorest}), the fullest is at its limit in {alive.saturated:.1%} ({alive.fullest})")
    if network.normalization:
        rms, largest = network.normalization
        print(f"l2 norm      of integers against float: error {rms:.1%} root mean square, {largest:.1%} at most, of the "
              "result's root mean square")
    if provenance.notice:
        print(f"notice       {provenance.notice}")
    print(f"wrote        {options.output}")


def add_fetch(commands: Any) -> None:
    parser = add_command(commands, "fetch", _fetch, "download a trained network from the public ONNX model zoo",
                         "arrayloom fetch resnet50")
    parser.add_argument("name", metavar="NAME", help=", ".join(spec.name for spec in SPECS.values() if spec.zoo))
    parser.add_argument("--folder", type=Path, metavar="DIR", help=f"folder for the file (default {default_folder()})")
    parser.add_argument("--url", metavar="URL", help="another address, such as a mirror's")
    add_json(parser)


def _fetch(options: argparse.Namespace) -> int:
    spec = find_spec(options.name)
    with progress_bar(f"fetching {spec.name}", options.json, unit="bytes") as progress:
        path = fetch(spec, options.folder, options.url, progress)
    if options.json:
        print_json({"network": spec.name, "file": str(path), "recipe": spec.recipe})
    else:
        print(f"{path}\nbuild it with: arrayloom network {spec.name} --weights {path} --calibrate DIR "
              f"-o {spec.name}_int8.onnx")
    return 0
