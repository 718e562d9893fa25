"""Broadcasts a vector over an image in two steps, along a row and then down the columns, if there is a DEPTHWISE unit.

A convolution that reads the same word for each pixel accesses one bank of the scratchpad all the time, and so blocks the
POST unit when it reads its other operand from there. After squeeze-and-excitation both units have the same rate, and each
would wait for the other half of the time. From a row of copies, the array reads one bank after the other.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from arrayloom.compiler.backend.operations import Convolution, Taps, selection
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.config import Config

VECTOR = Taps(strides=(0, 0))


def spread_by_rows(network: Network, config: Config) -> None:
    """Splits steps that broadcast a vector while the POST unit reads another operand."""
    if config.depthwise_channels:
        network.steps = [part for step in network.steps for part in _parts(network, step)]


def _parts(network: Network, step: Step) -> Iterator[Step]:
    operation, shape = step.operation, network.shapes[step.output]
    if (type(operation) is Convolution and operation.selection and operation.taps == VECTOR and step.epilogue.residual
            and min(shape[1:]) > 1 and step.output not in network.folds):
        channels, _, width = shape
        row = network.intermediate(f"{step.output}#row", (channels, 1, width))
        yield Step(operation, step.x, row, step.sources)
        step = replace(step, x=row, operation=selection(np.arange(channels), channels, Taps(strides=(0, 1))))
    yield step
