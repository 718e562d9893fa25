"""Splits maximum pools into a vertical and a horizontal pass if this takes fewer cycles."""

from dataclasses import replace

from arrayloom.compiler.backend.operations import Maximum, Taps
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.config import Config


def split_pools(network: Network, config: Config) -> None:
    """Replaces maximum pools by two steps each if the POST unit then reads fewer words.

    Both passes ignore positions outside the source, so the result is the same.
    """
    steps: list[Step] = []
    for step in network.steps:
        if isinstance(step.operation, Maximum):
            steps += _split(network, step, step.operation.taps, config)
        else:
            steps.append(step)
    network.steps = steps


def _split(network: Network, step: Step, taps: Taps, config: Config) -> list[Step]:
    channels, height, _ = network.shapes[step.output]
    width = network.shapes[step.x][2]
    down = replace(taps, kernel=(taps.kernel[0], 1), strides=(taps.strides[0], 1), origin=(taps.origin[0], 0),
                   dilations=(taps.dilations[0], 1))
    along = replace(taps, kernel=(1, taps.kernel[1]), strides=(1, taps.strides[1]), origin=(0, taps.origin[1]),
                    dilations=(1, taps.dilations[1]))
    whole = network.shapes[step.output][2] * _cycles(taps, config)
    if width * _cycles(down, config) + network.shapes[step.output][2] * _cycles(along, config) >= whole:
        return [step]
    middle = network.intermediate(f"{step.output}#columns", (channels, height, width))
    first = Step(Maximum(down), step.x, middle, step.sources)
    return [first, replace(step, operation=Maximum(along), x=middle)]


def _cycles(taps: Taps, config: Config) -> int:
    """Returns the POST unit's cycles for a word of the result: it reads one word of the window per cycle."""
    return max(config.groups, taps.kernel[0] * taps.kernel[1])
