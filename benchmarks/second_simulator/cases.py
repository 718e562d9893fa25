"""The programs to run on both simulators."""

from collections.abc import Callable

import numpy as np

from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.boundary import device_inputs
from arrayloom.host.runtime.host_parts import HostParts
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.workload_network import INPUT, workload_network
from arrayloom.isa.config import Config
from benchmarks.second_simulator.bench import Case, Traffic

QUIET, ROUGH = Traffic(), Traffic(latency=7, stall=60, seed=5)

SEED = 3      # of the workload's image


def digits_case(config: Config, traffic: Traffic = QUIET) -> Case:
    """The digits network on its first image."""
    program = compile_model(digits.MODEL, config)
    batch = load_inputs(sorted(digits.IMAGES.iterdir())[0], program.model_inputs, "digits")
    image = HostParts(program.host).before({name: values[:1] for name, values in batch.items()})[0]
    inputs = {name: values[0] for name, values in device_inputs(image, program.inputs).items()}
    return Case("digits-stalled" if traffic.stall else "digits", program, inputs, traffic)


def workload_case(config: Config) -> Case:
    """The training network of simulators: uses every unit and every kind of layer."""
    program = compile_model(workload_network(config), config)
    layout = program.inputs[0].slot.layout
    shape = layout.channels, layout.height, layout.width
    return Case("workload", program, {INPUT: np.random.default_rng(SEED).integers(0, 256, shape, np.uint8)}, QUIET)


CASES: dict[str, Callable[[Config], Case]] = {
    "digits": digits_case, "digits-stalled": lambda config: digits_case(config, ROUGH), "workload": workload_case}
