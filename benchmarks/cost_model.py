"""The cost model's prediction against the RTL, in total and by layer; exit code 1 if the deviation exceeds its bound."""

import argparse
import sys

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import predict
from arrayloom.host.analysis.profile import measure
from arrayloom.host.analysis.profile.deviation import COVERED, LAYER_BOUND, TOTAL_BOUND, Deviation, compare
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.isa.config import load_config
from benchmarks.command import OUTSIDE, SUCCESS, add_network, parser_of, run
from benchmarks.output import deliver


def main() -> int:
    parser = parser_of("benchmarks.cost_model", __doc__)
    add_network(parser)
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    program = compile_model(options.model, config=config)
    batch = load_inputs(options.input, program.model_inputs, options.preprocess)
    profile = measure(program, {name: values[:1] for name, values in batch.items()})
    result = compare(predict(program, config), profile)
    if deliver(options, {"model": options.model.name, "config": config.name} | result.figures()):
        _print(result)
    return SUCCESS if result.within else OUTSIDE


def _print(result: Deviation) -> None:
    table = Table(box=SIMPLE, title_justify="left", title="array cycles, first to last")
    table.add_column("layer")
    for name in ("predicted", "RTL", "deviation", ""):
        table.add_column(name, justify="right")
    for layer in result.layers:
        note = "" if not layer.held else "ok" if layer.within else "outside"
        table.add_row(layer.name, f"{layer.predicted:,}", f"{layer.measured:,}", f"{layer.deviation:+.2%}", note)
    table.add_section()
    table.add_row("whole run", f"{result.predicted:,}", f"{result.measured:,}", f"{result.deviation:+.2%}",
                  "ok" if abs(result.deviation) <= TOTAL_BOUND else "outside")
    Console(markup=False, emoji=False).print(table)
    print(f"bounds: {TOTAL_BOUND:.0%} in total, {LAYER_BOUND:.0%} for the longest layers that make up {COVERED:.0%} of the "
          f"run (here {result.covered:.1%})")


if __name__ == "__main__":
    sys.exit(main())
