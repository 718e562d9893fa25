"""Divides a step's output into row tiles, which pass through a scratch buffer if its tensors do not fit on chip, and into
regions, which fit an accumulator bank."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.errors import CompileError
from arrayloom.isa.config import Config

BUFFERS = 2     # double buffering: one row tile is transferred while another is computed


class Role(Enum):
    """The role of a tensor in a step."""

    X = "x"
    RESIDUAL = "residual"
    Y = "y"


@dataclass(frozen=True)
class RowTiles:
    """Row tiles of at most ``rows`` output rows, and the scratch buffer that they pass through.

    A step on the array processes all channel blocks of a row tile at once, other steps process one block at a time.

    Attributes
    ----------
    rows
        Most output rows in a row tile.
    buffers
        Number of buffers for each spilled tensor.
    sizes
        Words in one buffer of each spilled tensor.
    held
        If not 0, not even one row of all blocks of the source fits; the source then streams through the buffers, ``held``
        blocks at a time, again for each piece of the output.
    whole
        Whether the buffers hold all rows of the tensors.
    """

    rows: int
    buffers: int
    sizes: dict[Role, int]
    held: int = 0
    whole: bool = False

    @property
    def words(self) -> int:
        """The number of words in the scratch buffer."""
        return self.buffers * sum(self.sizes.values())

    def offset(self, role: Role, iteration: int) -> int:
        """Returns the offset in the scratch buffer of the buffer that a tensor uses in an iteration."""
        earlier = itertools.takewhile(lambda other: other is not role, self.sizes)
        return self.buffers * sum(self.sizes[other] for other in earlier) + iteration % self.buffers * self.sizes[role]


def smallest_row_tiles(network: Network, step: Step, spilled: set[str], config: Config) -> RowTiles | None:
    """Returns small row tiles, which leave most of the scratchpad to others, or None if no tensor of the step is spilled.

    Raises ``CompileError``, which names the step, if not even single rows fit.
    """
    if not any(_is_spilled(network, name, spilled) for name in (*network.reads(step), step.output)):
        return None
    region = rows_per_region(network.layouts[step.output].width, config.accumulator_depth)
    for rows, buffers, limit in ((region, BUFFERS, 2), (1, BUFFERS, 2), (1, 1, 1)):
        row_tiles = _row_tiles(network, step, spilled, rows, buffers)
        if row_tiles.words <= config.activation_words // limit:
            return row_tiles
    streamed = _streamed(network, step, spilled, config.activation_words, smallest=True)
    if streamed is not None:
        return streamed
    row_tiles = _row_tiles(network, step, spilled, 1, 1, 1)
    needed = 1 << (_most_needed(network) * config.size - 1).bit_length()
    raise CompileError(
        f"layer that makes '{step.output}': one row of its result needs {row_tiles.words} words on chip, and the "
        f"scratchpad of {config.name} holds {config.activation_words}; compile for a configuration with "
        f"activation_bytes = {needed} or more")


def _most_needed(network: Network) -> int:
    """Returns the words on chip that suffice for each layer of the network, one row at a time."""
    everything = {allocation_root(network, name)[0] for step in network.steps
                  for name in (*network.reads(step), step.output)}
    return max(_row_tiles(network, step, everything, 1, 1, 1).words for step in network.steps)


def _streamed(network: Network, step: Step, spilled: set[str], words: int, smallest: bool) -> RowTiles | None:
    """Returns row tiles of one row whose source streams, with one block per buffer (``smallest``) or as many as fit.

    Returns None if not even single blocks fit, or if the source is not in memory.
    """
    if not step.on_array or not _is_spilled(network, step.x, spilled):
        return None
    blocks = network.layouts[step.x].blocks
    choices = [(buffers, held) for buffers in (BUFFERS, 1) for held in ([1] if smallest else range(blocks, 0, -1))]
    found = (_row_tiles(network, step, spilled, 1, buffers, held) for buffers, held in choices)
    return next((row_tiles for row_tiles in found if row_tiles.words <= words), None)


def largest_row_tiles(network: Network, step: Step, spilled: set[str], words: int) -> RowTiles:
    """Returns the row tiles with the most rows that fit ``words`` words, with two buffers if possible."""
    height = network.layouts[step.output].height
    whole = replace(_row_tiles(network, step, spilled, height, 1), sizes=_whole_sizes(network, step, spilled), whole=True)
    if whole.words <= words and step.on_array:
        return whole
    for buffers in (BUFFERS, 1):
        low, high = 0, height
        while low < high:
            middle = (low + high + 1) // 2
            fits = _row_tiles(network, step, spilled, middle, buffers).words <= words
            low, high = (middle, high) if fits else (low, middle - 1)
        if low:
            return _row_tiles(network, step, spilled, low, buffers)
    streamed = _streamed(network, step, spilled, words, smallest=False)
    assert streamed is not None, step
    return streamed


def cut_row_tiles(height: int, rows: int, head: int) -> Iterator[tuple[int, int]]:
    """Yields [first, last) of row tiles: the first has ``head`` rows, each next one up to twice as many, at most ``rows``.

    This way work starts early, and each row tile is loaded before the previous one is finished.
    """
    first, step = 0, head
    while first < height:
        last = min(first + min(step, rows), height)
        yield first, last
        first, step = last, 2 * step


def tensors(step: Step) -> dict[Role, str]:
    """Returns the tensors that a step accesses, by role."""
    found, residual = {Role.X: step.x, Role.Y: step.output}, step.epilogue.residual
    return found | ({Role.RESIDUAL: residual.tensor} if residual else {})


def _row_tiles(network: Network, step: Step, spilled: set[str], rows: int, buffers: int, held: int = 0) -> RowTiles:
    rows = min(rows, network.layouts[step.output].height)
    source_rows = step.operation.most_source_rows(rows, network.layouts[step.x].rows)
    sizes = {}
    for role, name in tensors(step).items():
        if _is_spilled(network, name, spilled):
            layout = network.layouts[name]
            blocks = layout.blocks if step.on_array else 1
            blocks = min(held or blocks, blocks) if role is Role.X else blocks
            sizes[role] = blocks * layout.columns * (source_rows if role is Role.X else rows)
    return RowTiles(rows, buffers, sizes, held)


def _whole_sizes(network: Network, step: Step, spilled: set[str]) -> dict[Role, int]:
    return {role: network.layouts[name].words for role, name in tensors(step).items() if _is_spilled(network, name, spilled)}


def _is_spilled(network: Network, name: str, spilled: set[str]) -> bool:
    return any(allocation_root(network, member)[0] in spilled for member in network.members(name))


@dataclass(frozen=True)
class Region:
    """Rows [y, y + height) and columns [x, x + width); ``closes_rows`` marks the last region of these rows."""

    y: int
    x: int
    height: int
    width: int
    closes_rows: bool

    @property
    def pixels(self) -> int:
        return self.height * self.width


def cut_regions(first: int, last: int, width: int, depth: int) -> Iterator[Region]:
    """Yields regions of similar size, at most ``depth`` pixels each, that cover rows [first, last).

    They consist of whole rows if one fits, so that readers can start early; otherwise rows are cut into as few parts as
    possible.
    """
    columns = -(-width // depth)
    rows = -(-(last - first) // rows_per_region(width, depth))
    for y, height in _even(first, last, rows):
        for x, part in _even(0, width, columns):
            yield Region(y, x, height, part, x + part == width)


def rows_per_region(width: int, depth: int) -> int:
    """Returns the number of whole rows in a region of ``depth`` pixels, at least one."""
    return max(1, depth // width)


def _even(first: int, last: int, count: int) -> Iterator[tuple[int, int]]:
    """Yields (start, length) of ``count`` pieces of [first, last) whose lengths differ by at most one."""
    for index in range(count):
        start = first + (last - first) * index // count
        end = first + (last - first) * (index + 1) // count
        yield start, end - start
