"""Bands of rows in which a step passes through scratch memory when its tensors do not fit on chip."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from arrayloom.compiler.backend.layouts import home
from arrayloom.compiler.backend.regions import rows_per_region
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.errors import CompileError
from arrayloom.isa.config import Config

BUFFERS = 2     # so that one band is transferred while another is computed


class Role(Enum):
    """What a tensor is to a step."""

    X = "x"
    RESIDUAL = "residual"
    Y = "y"


@dataclass(frozen=True)
class Bands:
    """Bands of ``rows`` output rows; each spilled tensor has ``buffers`` buffers of so many words.

    A step of the POST unit alone goes block by block, one on the array takes all blocks at once; where not even one row
    of them fits, its source streams through the buffers, ``held`` blocks at a time, for every piece anew.
    """

    rows: int
    buffers: int
    sizes: dict[Role, int]
    held: int = 0

    @property
    def words(self) -> int:
        return self.buffers * sum(self.sizes.values())

    def offset(self, role: Role, turn: int) -> int:
        """Where in the arena the buffer of a tensor lies in band number ``turn``."""
        earlier = itertools.takewhile(lambda other: other is not role, self.sizes)
        return self.buffers * sum(self.sizes[other] for other in earlier) + turn % self.buffers * self.sizes[role]


def smallest_bands(network: Network, step: Step, spilled: set[str], config: Config) -> Bands | None:
    """Bands that leave most of the memory to others; None for a step with nothing spilled.

    Raises ``CompileError`` naming the step when not even single rows fit.
    """
    if not any(_is_spilled(network, name, spilled) for name in (*network.reads(step), step.output)):
        return None
    region = rows_per_region(network.layouts[step.output].width, config.accumulator_depth)
    for rows, buffers, limit in ((region, BUFFERS, 2), (1, BUFFERS, 2), (1, 1, 1)):
        bands = _bands(network, step, spilled, rows, buffers)
        if bands.words <= config.activation_words // limit:
            return bands
    streamed = _streamed(network, step, spilled, config.activation_words, smallest=True)
    if streamed is not None:
        return streamed
    bands = _bands(network, step, spilled, 1, 1, 1)
    needed = 1 << (_most_needed(network) * config.size - 1).bit_length()
    raise CompileError(
        f"layer that makes '{step.output}': one row of its result needs {bands.words} words on chip, and the "
        f"activation memory of {config.name} holds {config.activation_words}; compile for a configuration with "
        f"activation_bytes = {needed} or more")


def _most_needed(network: Network) -> int:
    """Words that suffice for every layer of the network, one row at a time."""
    everything = {home(network, name)[0] for step in network.steps for name in (*network.reads(step), step.output)}
    return max(_bands(network, step, everything, 1, 1, 1).words for step in network.steps)


def _streamed(network: Network, step: Step, spilled: set[str], words: int, smallest: bool) -> Bands | None:
    """Bands of one row whose source streams, in as few parts as fit or in as many as there can be; None where even
    single blocks do not fit, or where the source is not in memory."""
    if not step.on_array or not _is_spilled(network, step.x, spilled):
        return None
    blocks = network.layouts[step.x].blocks
    choices = [(buffers, held) for buffers in (BUFFERS, 1) for held in ([1] if smallest else range(blocks, 0, -1))]
    found = (_bands(network, step, spilled, 1, buffers, held) for buffers, held in choices)
    return next((bands for bands in found if bands.words <= words), None)


def largest_bands(network: Network, step: Step, spilled: set[str], words: int) -> Bands:
    """The highest bands that fit ``words`` words, with two buffers where that is possible."""
    height = network.layouts[step.output].height
    whole = _bands(network, step, spilled, height, 1)
    if whole.words <= words and step.on_array:
        return whole
    for buffers in (BUFFERS, 1):
        low, high = 0, height
        while low < high:
            middle = (low + high + 1) // 2
            fits = _bands(network, step, spilled, middle, buffers).words <= words
            low, high = (middle, high) if fits else (low, middle - 1)
        if low:
            return _bands(network, step, spilled, low, buffers)
    streamed = _streamed(network, step, spilled, words, smallest=False)
    assert streamed is not None, step
    return streamed


def cut_bands(height: int, rows: int, head: int) -> Iterator[tuple[int, int]]:
    """[first, last) of bands of at most ``rows`` rows: the first of ``head`` rows, each next one up to twice as high.

    So work starts early, and each band is there before the one ahead of it is done.
    """
    first, step = 0, head
    while first < height:
        last = min(first + min(step, rows), height)
        yield first, last
        first, step = last, 2 * step


def tensors(step: Step) -> dict[Role, str]:
    """The tensors that a step touches."""
    found = {Role.X: step.x, Role.Y: step.output}
    return found | ({Role.RESIDUAL: step.residual.tensor} if step.residual else {})


def _bands(network: Network, step: Step, spilled: set[str], rows: int, buffers: int, held: int = 0) -> Bands:
    rows = min(rows, network.layouts[step.output].height)
    source_rows = step.operation.most_source_rows(rows, network.layouts[step.x].height)
    sizes = {}
    for role, name in tensors(step).items():
        if _is_spilled(network, name, spilled):
            layout = network.layouts[name]
            blocks = layout.blocks if step.on_array else 1
            blocks = min(held or blocks, blocks) if role is Role.X else blocks
            sizes[role] = blocks * layout.columns * (source_rows if role is Role.X else rows)
    return Bands(rows, buffers, sizes, held)


def _is_spilled(network: Network, name: str, spilled: set[str]) -> bool:
    return any(home(network, member)[0] in spilled for member in network.members(name))
