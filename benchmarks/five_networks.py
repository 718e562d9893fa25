"""The five networks at full size, batch 1: cycles, utilization, memory traffic and wall time of the RTL.

Networks with seeded random weights are built in --folder unless they exist there. Every tensor is compared with
ONNX Runtime's; exit code 1 if any byte differs. --predict uses the cost model's cycles instead and runs nothing.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arrayloom.compiler import compile_graph
from arrayloom.compiler.cost import predict
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.graph import Conv, Graph
from arrayloom.host.models.networks import SPECS, Spec, build_float, build_quantized
from arrayloom.host.models.networks.blueprint import INPUT
from arrayloom.host.models.networks.build import seeded_images
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.outputs import save_model
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config
from arrayloom.isa.program import Program
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver
from benchmarks.table import markdown

NETWORKS = ("resnet50", "resnet152", "vgg16", "densenet121", "ssd_vgg")
CONFIGS = ("16x16", "32x32")
SEED = 0
IMAGE_SEED = 2

Row = dict[str, Any]


def main() -> int:
    parser = parser_of("benchmarks.five_networks", __doc__)
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="folder of the files NETWORK_int8.onnx, "
                                                                                  "which are created if missing")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NETWORK", help=f"default {' '.join(NETWORKS)}")
    parser.add_argument("--configs", nargs="+", default=CONFIGS, metavar="CONFIG", help=f"default {' '.join(CONFIGS)}")
    parser.add_argument("--predict", action="store_true", help="use the cost model: seconds instead of minutes")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        raise InputError(f"{options.folder}: is not a folder; make it first")
    if unknown := [name for name in options.networks if name not in SPECS]:
        raise InputError(f"network {unknown[0]!r}: unknown; known are {', '.join(SPECS)}")
    rows = [row for name in options.networks for row in _rows(SPECS[name], options)]
    if deliver(options, {"weights": f"random, seed {SEED}", "rows": rows}):
        print("\n".join(_table(rows)))
    return OUTSIDE if any(row.get("bytes_differing") for row in rows) else SUCCESS


def _rows(spec: Spec, options: argparse.Namespace) -> Iterator[Row]:
    imported = import_model(_file(spec, options.folder))
    for name in options.configs:
        print(f"{spec.title} on {name}", file=sys.stderr)
        program = compile_graph(imported.graph, load_config(name))
        measured = _predicted(program) if options.predict else _verified(spec, imported, program)
        size = program.configuration.size
        traffic = {f"bytes_{way}": measured[f"words_{way}"] * size for way in ("read", "written")}
        yield {"network": spec.name, "title": spec.title, "config": name, "macs": program.macs,
               "convolution_utilization": _of_convolutions(program, imported.graph)} | measured | traffic


def _file(spec: Spec, folder: Path) -> Path:
    path = folder / f"{spec.name}_int8.onnx"
    if not path.exists():
        print(f"building {path}", file=sys.stderr)
        save_model(build_quantized(build_float(spec, seed=SEED)).model, path)
    return path


def _predicted(program: Program) -> Row:
    found = predict(program, program.configuration)
    return {"by": "cost model", "cycles": found.cycles, "utilization": found.utilization, "words_read": found.words_read,
            "words_written": found.words_written}


def _verified(spec: Spec, imported: ImportedModel, program: Program) -> Row:
    """Runs on the RTL and compares every tensor; ``total_seconds`` includes emulator and ONNX Runtime."""
    image = seeded_images(spec.blueprint(spec.classes), spec.recipe, IMAGE_SEED, 1)
    device = open_device("rtl", program.configuration)
    begin = time.perf_counter()
    verdict = Verifier(imported, program, device).verify({INPUT: image})
    device.close()
    report = verdict.report
    return report.figures() | {
        "by": "RTL", "bytes_compared": verdict.bytes_compared, "bytes_differing": verdict.bytes_differing,
        "words_read": report.words_read, "words_written": report.words_written,
        "total_seconds": time.perf_counter() - begin}


def _of_convolutions(program: Program, graph: Graph) -> float:
    """Predicts with the cost model, from the doorbell until the array has finished the last convolution with several
    positions."""
    several = {op.name for op in graph.ops if isinstance(op, Conv) and np.prod(graph.tensors[op.output].shape[1:]) > 1}
    config = program.configuration
    end = max(layer.last for layer in predict(program, config).layers if layer.name in several)
    return sum(layer.macs for layer in program.layers if layer.name in several) / (config.multipliers * end)


def _table(rows: list[Row]) -> list[str]:
    lines = [[row["title"], f"`{row['config']}`", f"{row['macs'] / 1e6:,.0f} M", f"{row['cycles']:,}",
              f"{100 * row['utilization']:.1f} %", f"{100 * row['convolution_utilization']:.1f} %",
              f"{row['bytes_read'] / 1e6:,.1f} MB", f"{row['bytes_written'] / 1e6:,.1f} MB",
              f"{row['bytes_differing']:,}" if row["by"] == "RTL" else "not compared",
              f"{row['wall_seconds']:.1f} s" if row["by"] == "RTL" else row["by"]] for row in rows]
    return markdown(["network", "preset", "multiply-accumulates", "cycles", "utilization", "over convolutions", "read",
                     "written", "differing bytes", "RTL"], lines)


if __name__ == "__main__":
    sys.exit(main())
