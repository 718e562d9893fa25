"""Virtual concatenations: if only lookup tables read a concatenation, it is not stored, and each part gets its own table."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from arrayloom.compiler.backend.epilogue import IDENTITY, LookupTable, compose, signed_lookup_table
from arrayloom.compiler.graph import Concat, Graph, Lookup, Op
from arrayloom.isa.instructions import BYTE_VALUES


@dataclass(frozen=True)
class Part:
    """A part of a concatenation: the channels of a tensor, each converted by a lookup table with one row."""

    tensor: str
    channels: int
    table: LookupTable


@dataclass(frozen=True)
class VirtualConcat:
    """A concatenation that is not stored; ``sources`` are the indices of the operations that it replaces."""

    parts: tuple[Part, ...]
    sources: tuple[int, ...]

    def through(self, table: LookupTable) -> LookupTable:
        """Returns [C, 256]: ``table``, with one row or one per channel, composed with the table of each part."""
        rows, first = [], 0
        for part in self.parts:
            chosen = table if len(table) == 1 else table[first:first + part.channels]
            rows.append(np.broadcast_to(compose(part.table, chosen), (part.channels, BYTE_VALUES)))
            first += part.channels
        return np.concatenate(rows)


def find_virtual_concats(graph: Graph, kept: set[str]) -> dict[str, VirtualConcat]:
    """Returns the concatenations that only lookup tables read, directly or through another such concatenation.

    Tensors in ``kept`` must be stored.
    """
    candidates = _read_by_tables(graph, kept)
    found: dict[str, VirtualConcat] = {}
    for index, op in enumerate(graph.ops):
        if isinstance(op, Concat) and op.output in candidates:
            found[op.output] = _virtual_concat(graph, op, index, found)
    return found


def _read_by_tables(graph: Graph, kept: set[str]) -> set[str]:
    readers: dict[str, list[Op]] = defaultdict(list)
    for op in graph.ops:
        for name in op.inputs:
            readers[name].append(op)
    found: set[str] = set()
    for op in reversed(graph.ops):
        by_tables = all(isinstance(reader, Lookup) or reader.output in found for reader in readers[op.output])
        if isinstance(op, Concat) and op.output not in kept and readers[op.output] and by_tables:
            found.add(op.output)
    return found


def _virtual_concat(graph: Graph, op: Concat, index: int, found: dict[str, VirtualConcat]) -> VirtualConcat:
    parts: list[Part] = []
    sources: list[int] = []
    for row, name in zip(op.tables, op.xs, strict=True):
        tensor = graph.tensors[name]
        table = signed_lookup_table(row[np.newaxis], tensor.dtype)
        inner = found.get(name, VirtualConcat((Part(name, tensor.shape[0], IDENTITY),), ()))
        parts += [Part(part.tensor, part.channels, compose(part.table, table)) for part in inner.parts]
        sources += inner.sources
    return VirtualConcat(tuple(parts), (*dict.fromkeys(sources), index))
