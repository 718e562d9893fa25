"""Turns groups of works into steps: all Convolve instructions that read the same words become one matrix product."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.instructions import Drain, DrainDepthwise, Elementwise, Pool, PostInstruction, ResidualInstruction
from arrayloom.sim.emulator.post import bias_and_scale, sum_key, sum_table
from arrayloom.sim.plan.depthwise import depthwise
from arrayloom.sim.plan.feeds import Constants, Range
from arrayloom.sim.plan.finish import Add, Finish, LookUp
from arrayloom.sim.plan.pooling import clamping, pooling
from arrayloom.sim.plan.products import DividedProduct, Library, Product, Requantization, make_product
from arrayloom.sim.plan.schedule import Group
from arrayloom.sim.plan.space import Space
from arrayloom.sim.plan.steps import Computation, Move, Operation, Step
from arrayloom.sim.plan.works import Work

MOST_WEIGHTS = 1 << 22          # bytes of weights in one product, which exist five times while it is made

Fed = tuple[tuple[Range, ...], tuple[int, ...], Range | None]


class Builder:
    """Makes steps on states of ``space``; weights and parameters are taken from ``constants``."""

    def __init__(self, config: Config, constants: Constants, space: Space, library: Library) -> None:
        self._config, self._constants, self._space, self._library = config, constants, space, library
        self._sums: dict[tuple[int, ...], NDArray[np.int8]] = {}

    def steps(self, group: Group) -> list[Step]:
        works = group.works
        first = works[0].instruction
        if isinstance(first, DrainDepthwise):
            return [self._pixelwise(same, group.whole) for same in _blocks(works)]
        if isinstance(first, Drain):
            return [self._product(rows, group.whole) for rows in _products(works)]
        if isinstance(first, PostInstruction):
            return [self._pixelwise(same, group.whole) for same in _same_terms(works)]
        return [Move(_indices(works), self._space.placed(np.concatenate([work.sources.ravel() for work in works])),
                     self._space.placed(np.concatenate([work.destination for work in works])))]

    def _product(self, rows: list[list[Work]], whole: bool) -> Step:
        """``rows``: works by regions with the same computation; each region's works are the blocks of its outputs."""
        columns = rows[0]
        drain = columns[0].instruction
        assert isinstance(drain, Drain)
        return Computation(_indices([work for region in rows for work in region]),
                           self._space.placed(np.concatenate([region[0].sources for region in rows])),
                           _stacked([[work.destination for work in region] for region in rows]),
                           self._multiplication(columns, drain), self._finish(rows, drain), whole)

    def _multiplication(self, columns: Sequence[Work], drain: Drain) -> Product:
        """One product, or several if it has too many weights to convert at once."""
        size = self._config.size
        together = max(1, MOST_WEIGHTS // (size * size * columns[0].sources.shape[1]))
        parts = [self._some_columns(columns[first:first + together], drain) for first in range(0, len(columns), together)]
        return parts[0] if len(parts) == 1 else DividedProduct(parts)

    def _some_columns(self, columns: Sequence[Work], drain: Drain) -> Product:
        size = self._config.size
        weights = np.concatenate([self._constants.joined(work.weights).reshape(-1, size) for work in columns], 1)
        entries = np.concatenate([self._entries(work.parameters) for work in columns])
        bias, scale = bias_and_scale(entries)
        return make_product(self._library, weights,
                            Requantization(bias, scale, drain.zero_point, drain.low, drain.high))

    def _pixelwise(self, works: list[Work], whole: bool) -> Step:
        """``works``: that compute the same of as many words for a pixel."""
        i = works[0].instruction
        assert isinstance(i, DrainDepthwise | Pool | Elementwise)
        columns = [[work] for work in works]
        return Computation(_indices(works), self._space.placed(np.concatenate([work.sources for work in works])),
                           _stacked([[work.destination] for work in works]), self._operation(works[0]),
                           self._finish(columns, i), whole, not isinstance(i, Elementwise))

    def _operation(self, work: Work) -> Operation:
        i, entries = work.instruction, self._entries(work.parameters)
        if isinstance(i, DrainDepthwise):
            return depthwise(self._constants.joined(work.weights), entries, work.sources.shape[1], i)
        assert isinstance(i, Elementwise | Pool)
        return clamping(i) if isinstance(i, Elementwise) else pooling(i, entries, self._config.size)

    def _finish(self, rows: list[list[Work]], i: PostInstruction) -> Finish:
        add, look_up = None, None
        if isinstance(i, ResidualInstruction) and i.add:
            residual = _stacked([[work.residual for work in region] for region in rows])
            add = Add(residual, self._sum_table(i), bool(i.swap))
        if i.lookup_table:
            pages = [self._constants.words(*work.table) for work in rows[0] if work.table]
            look_up = LookUp.of_pages(np.concatenate(pages, 1))
        return Finish(add, look_up)

    def _sum_table(self, i: ResidualInstruction) -> NDArray[np.int8]:
        key = sum_key(i)
        if key not in self._sums:
            self._sums[key] = sum_table(i)
        return self._sums[key]

    def _entries(self, addresses: Sequence[int]) -> NDArray[np.uint32]:
        """uint32[count, 2, lanes]."""
        beats, lanes = self._config.parameter_beats, self._config.lanes
        if not addresses:
            return np.zeros((0, 2, lanes), np.uint32)
        words = np.concatenate([self._constants.words(address, beats) for address in addresses])
        return words.reshape(-1).view(np.uint32).reshape(len(addresses), 2, lanes)


def _products(works: Sequence[Work]) -> list[list[list[Work]]]:
    """Works by products: those that read the same words are the columns of one product, and regions with the same columns
    its rows."""
    regions: dict[tuple[int, bytes], list[Work]] = {}
    for work in works:
        regions.setdefault((len(work.sources), blake2b(work.sources.tobytes()).digest()), []).append(work)
    products: dict[tuple[Fed, ...], list[list[Work]]] = {}
    for region in regions.values():
        fed = tuple((work.weights, work.parameters, work.table) for work in region)
        products.setdefault(fed, []).append(region)
    return list(products.values())


def _blocks(works: Sequence[Work]) -> list[list[Work]]:
    """Works by what they multiply by and are requantized with: the regions of one channel block."""
    found: dict[tuple[object, ...], list[Work]] = {}
    for work in works:
        found.setdefault((work.weights, work.parameters, work.table, work.sources.shape[1]), []).append(work)
    return list(found.values())


def _same_terms(works: Sequence[Work]) -> list[list[Work]]:
    """Works by the number of words they read per pixel."""
    found: dict[int, list[Work]] = {}
    for work in works:
        found.setdefault(work.sources.shape[1], []).append(work)
    return list(found.values())


def _stacked(regions: Sequence[Sequence[NDArray[np.int32]]]) -> NDArray[np.int32]:
    """int32[pixels of all regions, blocks] from the blocks of each region."""
    return np.concatenate([np.stack(blocks, 1) for blocks in regions])


def _indices(works: Sequence[Work]) -> tuple[int, ...]:
    return tuple(sorted(index for work in works for index in work.instructions))
