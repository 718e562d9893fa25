"""Chooses the part of a float network to quantize; the rest, at its beginning and end, stays float on the host.

The tail begins where a network stops multiplying by weights and starts to arrange results: a detector's concatenation of
boxes and scores would share one scale, and round coordinates to 8 bits needlessly. Operators that the accelerator does
not support belong to the tail too, with everything that depends on them. The head converts an input of another dtype
to float32, with the arithmetic that follows.
"""

from collections.abc import Collection, Iterable

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.known import is_known
from arrayloom.compiler.frontend.macs import multiply_accumulates
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import SMALL_SHARE, HostPolicy
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.partition import Partition
from arrayloom.host.models.quantize.plan import CLAMPS, WEIGHTED, ends
from arrayloom.host.models.quantize.tokens import needs_attention

#: After the last product, they compute an element from many, or from one at another position; the host does so exactly.
_ARRANGING = ("DepthToSpace", "Resize", "Upsample")
_MAP_RANK = 4  # of [N, C, H, W]


def split(model: Model, policy: HostPolicy, refused: Collection[str] = ()) -> Partition:
    """Head, middle and tail of a prepared network.

    Parameters
    ----------
    model : Model
        The float network.
    policy : HostPolicy
        How much may stay float: with NONE nothing, with SMALL up to ``SMALL_SHARE`` of the multiply-accumulates.
    refused : Collection[str]
        Names of nodes that the accelerator turned out not to support.
    """
    if policy is HostPolicy.NONE:
        return Partition(model, frozenset(), frozenset())
    return _Splitter(model, policy, frozenset(refused)).parts()


class _Splitter:
    def __init__(self, model: Model, policy: HostPolicy, refused: frozenset[str]) -> None:
        self._model, self._policy, self._refused = model, policy, refused
        self._places = [place for place, node in enumerate(model.nodes) if not model.is_constant(node.output[0])]
        self._attention = needs_attention(model)
        self._total = sum(multiply_accumulates(model, node) for node in model.nodes)

    def parts(self) -> Partition:
        tail = self._impossible()
        products = {place for place in self._places if place not in tail and self._is_product(place)}
        if not products:
            return Partition(self._model, frozenset(), frozenset())
        behind = set(self._places) - self._before(products) - tail
        tail = self._after({*tail, *(place for place in behind if self._arranges(place))})
        tail |= self._absorbed(tail, behind)
        return Partition(self._model, self._head(products), frozenset(tail))

    def _impossible(self) -> set[int]:
        """Nodes that only the host can compute, with everything after them, if that is a small part of the network."""
        found: set[int] = set()
        for place in self._places:
            if place not in found and self._is_impossible(self._model.nodes[place]):
                grown = self._after({*found, place})
                if self._policy is HostPolicy.ANY or self._share(grown) <= SMALL_SHARE:
                    found = grown
        return found

    def _is_impossible(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "Softmax" and not self._attention:
            return not ends(self._model, node)
        return origin_name(node) in self._refused or not is_known(node)

    def _is_product(self, place: int) -> bool:
        node = self._model.nodes[place]
        return node.op_type in WEIGHTED and self._model.is_constant(node.input[1])

    def _arranges(self, place: int) -> bool:
        """Whether a node after the last product combines values that are no longer maps, or moves pixels."""
        node = self._model.nodes[place]
        if node.op_type in _ARRANGING and attribute(node, "mode", "nearest") != "nearest":
            return True
        operands = [name for name in dict.fromkeys(node.input) if name and not self._model.is_constant(name)]
        rank = len(self._model.shapes[node.output[0]])
        positional = rank != _MAP_RANK and any(self._differs(node, name) for name in node.input)
        return (len(operands) > 1 and rank != _MAP_RANK) or (node.op_type in FUNCTIONS and positional)

    def _differs(self, node: onnx.NodeProto, name: str) -> bool:
        """Whether an operand is a constant that differs between positions, as anchors do."""
        if not name or not self._model.is_constant(name):
            return False
        shape, rank = self._model.shapes[name], len(self._model.shapes[node.output[0]])
        aligned = (1,) * (rank - len(shape)) + tuple(shape)
        return any(extent > 1 for extent in aligned[2:])

    def _absorbed(self, tail: set[int], behind: set[int]) -> set[int]:
        """Nodes after the last product that only the tail reads: movements, and functions that would cost a rounding."""
        found = set(tail)
        for place in sorted(behind - tail, reverse=True):
            node = self._model.nodes[place]
            readers = [id(reader) for name in node.output for reader in self._model.consumers.get(name, [])]
            inside = {id(self._model.nodes[other]) for other in found}
            left = any(name in self._model.outputs for name in node.output)
            if readers and not left and inside.issuperset(readers) and self._is_absorbable(node):
                found.add(place)
        return found

    def _is_absorbable(self, node: onnx.NodeProto) -> bool:
        operands = [name for name in dict.fromkeys(node.input) if name and not self._model.is_constant(name)]
        if node.op_type in CLAMPS:  # saturation does it
            return False
        return node.op_type in (*MOVEMENTS, *NOTHING, "Concat", "Split", "Softmax") or (
            node.op_type in FUNCTIONS and len(operands) == 1)

    def _head(self, products: set[int]) -> frozenset[int]:
        """Casts of other dtypes to float32, and the functions and movements that read nothing else."""
        before = [place for place in self._places if place not in self._after(products)]
        made: set[str] = {value.name for value in self._model.inputs if self._model.dtypes[value.name] != "float32"}
        found: set[int] = set()
        for place in before:
            node = self._model.nodes[place]
            operands = [name for name in node.input if name and not self._model.is_constant(name)]
            simple = node.op_type in (*FUNCTIONS, *MOVEMENTS, *NOTHING, "Cast")
            refused = origin_name(node) in self._refused
            if (simple and operands and made.issuperset(operands)) or refused:
                found.add(place)
                made.update(node.output)
        return frozenset(self._before(found))

    def _after(self, seeds: Iterable[int]) -> set[int]:
        """The nodes and everything that depends on them."""
        found = set(seeds)
        made = {name for place in found for name in self._model.nodes[place].output if name}
        for place in self._places:
            if made.intersection(self._model.nodes[place].input):
                found.add(place)
            if place in found:
                made.update(name for name in self._model.nodes[place].output if name)
        return found

    def _before(self, seeds: Iterable[int]) -> set[int]:
        """The nodes and everything that they depend on."""
        found = set(seeds)
        read = {name for place in found for name in self._model.nodes[place].input if name}
        for place in reversed(self._places):
            if read.intersection(self._model.nodes[place].output):
                found.add(place)
            if place in found:
                read.update(name for name in self._model.nodes[place].input if name)
        return found

    def _share(self, places: Iterable[int]) -> float:
        macs = sum(multiply_accumulates(self._model, self._model.nodes[place]) for place in places)
        return macs / self._total if self._total else 0.0
