"""``arrayloom quantize``: a float network to an int8 one."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.bar import step_progress
from arrayloom.host.cli.common import add_command, add_json, lines_of_notices, notes_alone, print_json, require_writable
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.models.quantize import (
    METHODS,
    Agreement,
    Calibration,
    LayerError,
    Quantized,
    compare_classes,
    is_classifier,
    load_classes,
    quantize,
)
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.host.runtime.outputs import save_model

_SHOWN = 10  # layers in the printed table


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "quantize", _run, "turn a float ONNX network into an int8 one for the accelerator",
                         "arrayloom quantize resnet50.onnx --calibrate photographs --preprocess imagenet "
                         "-o resnet50_int8.onnx")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="float32 network")
    parser.add_argument("--calibrate", type=Path, required=True, metavar="DIR|FILE.npz",
                        help="photographs, also in subfolders, or arrays by input name; a few dozen are enough")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for photographs; arrays need none")
    methods = parser.add_mutually_exclusive_group()
    for name, help_text in _METHOD_HELP.items():
        methods.add_argument(f"--{name}", dest="method", action="store_const", const=name, default=next(iter(METHODS)),
                             help=help_text)
    parser.add_argument("--labels", type=Path, metavar="FILE",
                        help="class index of each image, lines 'CLASS' or 'IMAGE CLASS', .npy or .npz; gives the accuracy")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    add_import_options(parser)
    add_json(parser)


_METHOD_HELP = {
    "minmax": "ranges from the lowest and highest values (default)",
    "percentile": "ranges without the rarest values",
    "entropy": "ranges that lose the least information",
}


def _run(options: argparse.Namespace) -> int:
    require_writable(options.output)
    calibration = Calibration.from_path(options.calibrate, options.preprocess)
    labels = load_classes(options.labels, calibration) if options.labels else None
    with step_progress(options.json) as progress:
        quantized = quantize(options.model, calibration, options.method, progress, import_options(options))
        if labels and not is_classifier(quantized):
            raise InputError("--labels: the network has no single output of one score a class; leave the labels out")
        agreement = compare_classes(quantized, calibration, labels, progress) if is_classifier(quantized) else None
        layers = quantized.layers
    save_model(quantized.model, options.output)
    if options.json:
        print_json({"model": str(options.model), "output": str(options.output), "method": options.method,
                    "images": len(calibration), "notes": quantized.notes, "notices": quantized.notices,
                    "layers": [layer.to_json() for layer in layers],
                    "agreement": agreement.to_json() if agreement else None} | figures_of_host(quantized))
    else:
        _print(options, quantized, layers, agreement)
    return 0


def _print(options: argparse.Namespace, quantized: Quantized, layers: list[LayerError], agreement: Agreement | None) -> None:
    _print_layers(layers)
    for note in notes_alone(quantized.notes):
        print(f"note         {note}")
    for line in [*lines_of_host(quantized), *lines_of_notices(quantized.notices)]:
        print(line)
    if agreement is not None:
        print(f"same class   {agreement.same_class} of {agreement.images} images")
        if agreement.accuracies:
            before, after = agreement.accuracies
            print(f"accuracy     {before:.1%} in float, {after:.1%} quantized")
    print(f"wrote        {options.output}")


def _print_layers(layers: list[LayerError]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    shown = min(_SHOWN, len(layers))
    table = Table(box=SIMPLE, title=f"error against float, the worst {shown} of {len(layers)} values", title_justify="left")
    table.add_column("node", overflow="fold")
    table.add_column("operator")
    for name in ("SQNR", "relative", "largest"):
        table.add_column(name, justify="right")
    for layer in layers[:_SHOWN]:
        table.add_row(layer.node, layer.operator, f"{layer.sqnr_db:.1f} dB", f"{layer.relative_error:.2%}",
                      f"{layer.max_error:.4g}")
    Console(markup=False, emoji=False).print(table)
