"""Computing cycles of each unit for each layer, and bounds of a run: ``python -m benchmarks.unit_cycles MODEL.onnx``.

If units never waited for each other, the one with the most cycles would determine the run: for each layer separately or, if
layers overlap, for all of them together.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import predict
from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.isa.config import load_config
from arrayloom.isa.fields import Unit
from arrayloom.isa.program import Program

MAKERS = (Unit.ARRAY, Unit.DEPTHWISE, Unit.POST)
Cycles = dict[Unit, int]


def cycles_by_layer(program: Program) -> dict[str, Cycles]:
    """Cycles of the computing units, by the name of the layer with the most multiply-accumulates among those that share an
    instruction."""
    instructions, owners = list(program), {}
    for layer in sorted(program.layers, key=lambda layer: -layer.macs):
        for index in layer.instructions:
            owners.setdefault(index, layer.name)
    found: dict[str, Cycles] = defaultdict(lambda: dict.fromkeys(MAKERS, 0))
    for index in sorted(owners):
        one = instructions[index]
        if one.UNIT in MAKERS:
            found[owners[index]][one.UNIT] += busy_cycles(one, program.configuration)
    return dict(found)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--config", default="16x16-mobile", help="accelerator (default %(default)s)")
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    program = compile_model(arguments.model, config)
    layers, macs = cycles_by_layer(program), {layer.name: layer.macs for layer in program.layers}
    print("| layer | multiply-accumulates / multipliers |", " | ".join(unit.name for unit in MAKERS), "|")
    print("|---" * (len(MAKERS) + 2) + "|")
    for name, cycles in layers.items():
        ideal = macs[name] / config.multipliers
        print(f"| {name} | {ideal:,.0f} |", " | ".join(f"{cycles[unit]:,}" for unit in MAKERS), "|")
    totals = {unit: sum(cycles[unit] for cycles in layers.values()) for unit in MAKERS}
    ideal, apart = program.macs / config.multipliers, sum(max(cycles.values()) for cycles in layers.values())
    print(f"| all | {ideal:,.0f} |", " | ".join(f"{totals[unit]:,}" for unit in MAKERS), "|")
    print(f"\nlayer by layer {apart:,} cycles ({ideal / apart:.1%}), all layers at once {max(totals.values()):,} "
          f"({ideal / max(totals.values()):.1%}), predicted {predict(program, config).cycles:,} "
          f"({predict(program, config).utilization:.1%})")


if __name__ == "__main__":
    main()
