"""Chooses the nodes that the host computes: a head before the first integer operator and a tail after the last.

The head contains all ancestors of its nodes and the tail all descendants, so that no host node lies between two parts of the
accelerator. At first they contain the nodes without an integer operator before or after them. Nodes that the accelerator
cannot compute join the tail with all their descendants, as far as the user permits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, MAXIMA, NOTHING, RESHAPES, moves
from arrayloom.compiler.frontend.layers import is_quantized_layer
from arrayloom.compiler.frontend.macs import multiply_accumulates
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import operator_name, origin_name, origin_operator
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.isa.host_parts import HostNode

#: Operators at the border of every quantized network; they do not count as work of the host.
BOUNDARY = ("QuantizeLinear", "DequantizeLinear", "Softmax", "Transpose", *RESHAPES, *NOTHING)
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QGemm")


@dataclass(frozen=True)
class Partition:
    """The head and the tail of a model as indices into `Model.nodes`; all other nodes are the accelerator's.

    `last_layers` are nodes with a float result that the accelerator computes nevertheless; their result is to be rounded.
    """

    model: Model
    head: frozenset[int]
    tail: frozenset[int]
    last_layers: frozenset[int] = field(default_factory=frozenset)

    @property
    def is_whole(self) -> bool:
        """Whether the accelerator computes everything."""
        return not self.head and not self.tail

    def nodes(self, places: Iterable[int]) -> list[onnx.NodeProto]:
        """Returns the nodes with these indices, in topological order."""
        return [self.model.nodes[place] for place in sorted(places)]

    @cached_property
    def middle(self) -> list[onnx.NodeProto]:
        """The nodes of the accelerator that compute on elements."""
        host = self.head | self.tail
        return [node for place, node in enumerate(self.model.nodes) if place not in host and _computes(self.model, node)]

    def listed(self, places: Iterable[int]) -> tuple[HostNode, ...]:
        """Returns the nodes with these indices that are reported to the user."""
        return tuple(HostNode(origin_name(node), origin_operator(node)) for node in self.nodes(places) if counts(node))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of head and tail."""
        return sum(multiply_accumulates(self.model, node) for node in self.nodes(self.head | self.tail))

    @cached_property
    def share(self) -> float:
        """The host's fraction of the model's multiply-accumulates, 0 to 1."""
        total = sum(multiply_accumulates(self.model, node) for node in self.model.nodes)
        return self.macs / total if total else 0.0

    def grown(self, names: Iterable[str]) -> "Partition":
        """Returns the partition with the named nodes and all their descendants added to the tail."""
        wanted = set(names)
        found = {place for place, node in enumerate(self.model.nodes)
                 if origin_name(node) in wanted and place not in self.head and _computes(self.model, node)}
        kept = self.last_layers - found
        return replace(self, tail=_closed_tail(self.model, self.tail | found, self.head, kept), last_layers=kept)


def counts(node: onnx.NodeProto) -> bool:
    """Whether the node is work of the host, which `--no-host` refuses."""
    return operator_name(node).removeprefix("com.microsoft.") not in BOUNDARY


def partition(model: Model, last_layers: bool = False) -> Partition:
    """Returns the initial partition: the host has the nodes without an integer operator before or without one after them.

    Parameters
    ----------
    model
        The model.
    last_layers
        Whether a layer with quantized weights counts as an integer operator although its result is float.
    """
    computing = [place for place, node in enumerate(model.nodes) if _computes(model, node)]
    integer = _integer_nodes(model, [place for place in computing if not _is_constant(model, model.nodes[place])])
    last = _maxima(model)
    if last_layers:
        last |= _last_layers(model, _descendants(model, integer, computing))
    integer |= last
    after = _descendants(model, integer, computing)
    before = _ancestors(model, integer, computing)
    before_all = {place for place in computing if place in before and place not in after}
    behind_all = {place for place in computing if place not in before}
    head = _closed_head(model, {place for place in before_all if counts(model.nodes[place])}, before_all)
    kernel = {place for place in behind_all if counts(model.nodes[place]) or place not in after}
    tail = _closed_tail(model, kernel, head, last)
    return Partition(model, head, tail, last)


def _maxima(model: Model) -> frozenset[int]:
    """Returns the max pooling nodes of dequantized values, which give the same result on integers."""
    found: set[int] = set()
    same = {name for node in model.nodes if node.op_type == "DequantizeLinear" for name in node.output}
    for place, node in enumerate(model.nodes):
        if (node.op_type in MAXIMA or moves(node)) and node.input[0] in same:
            same.update(node.output)
            if node.op_type in MAXIMA and not _is_constant(model, node):
                found.add(place)
    return frozenset(found)


def _last_layers(model: Model, after: set[int]) -> frozenset[int]:
    """Returns the layers with quantized weights among the nodes `after` integers, and activations that alone follow one."""
    found: set[int] = set()
    results: set[str] = set()
    for place, node in enumerate(model.nodes):
        if place in after and is_quantized_layer(model, node):
            found.add(place)
            results.add(node.output[0])
        elif node.op_type in ACTIVATIONS and node.input[0] in results and model.only_reader(node.input[0]) is node:
            found.add(place)
    return frozenset(found)


def _computes(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a node computes a value that depends on the inputs' elements, or a constant output (a task of the host)."""
    return not _is_constant(model, node) or any(name in model.outputs for name in node.output)


def _is_constant(model: Model, node: onnx.NodeProto) -> bool:
    return all(model.is_constant(name) for name in node.output if name)


def _integer_nodes(model: Model, places: Sequence[int]) -> set[int]:
    """Returns the quantized operators and the nodes that compute bytes, except those that only prepare images for a Cast."""
    quantized = {place for place in places if _is_quantized(model.nodes[place])}
    after = _descendants(model, quantized, places)
    images = {name for place in places if model.nodes[place].op_type == "Cast" and place not in after
              for name in model.nodes[place].input}
    found = set(quantized)
    for place in reversed(places):
        node = model.nodes[place]
        of_bytes = all(model.dtypes[name] in BYTES for name in node.output if name)
        if place in quantized or node.op_type == "Cast" or not of_bytes:
            continue
        if place not in after and images.intersection(node.output):
            images.update(node.input)
        else:
            found.add(place)
    return found


def _is_quantized(node: onnx.NodeProto) -> bool:
    return node.op_type in _QUANTIZED or node.op_type.startswith("QLinear")


def _descendants(model: Model, seeds: Iterable[int], places: Sequence[int]) -> set[int]:
    """Returns the seeds and all nodes that depend on them."""
    found = set(seeds)
    made = {name for place in found for name in model.nodes[place].output if name}
    for place in places:
        node = model.nodes[place]
        if place not in found and made.intersection(node.input):
            found.add(place)
        if place in found:
            made.update(name for name in node.output if name)
    return found


def _ancestors(model: Model, seeds: Iterable[int], places: Sequence[int]) -> set[int]:
    """Returns the seeds and all nodes on which they depend."""
    found = set(seeds)
    read: set[str] = set()
    for place in reversed(places):
        node = model.nodes[place]
        if place in found or read.intersection(name for name in node.output if name):
            found.add(place)
            read.update(name for name in node.input if name)
    return found


def _closed_head(model: Model, kernel: set[int], allowed: set[int]) -> frozenset[int]:
    """Returns the nodes of `kernel`, their ancestors, and the nodes in `allowed` that read only results of the head."""
    places = sorted(allowed)
    found = _ancestors(model, kernel, places)
    made = {name for place in found for name in model.nodes[place].output if name}
    for place in places:
        operands = [name for name in model.nodes[place].input if name and not model.is_constant(name)]
        if place not in found and made.issuperset(operands):
            found.add(place)
            made.update(name for name in model.nodes[place].output if name)
    return frozenset(found)


def _closed_tail(
    model: Model, kernel: Iterable[int], head: frozenset[int], kept: frozenset[int]
) -> frozenset[int]:
    """Returns the nodes of `kernel`, their descendants, and the float nodes that only these read, unless in `kept`."""
    places = [place for place, node in enumerate(model.nodes) if _computes(model, node) and place not in head]
    found = _descendants(model, kernel, places)
    tail = {id(model.nodes[place]) for place in found}
    for place in reversed(places):
        node = model.nodes[place]
        if place not in found and place not in kept and _is_absorbed(model, node, tail):
            found.add(place)
            tail.add(id(node))
    return frozenset(found)


def _is_absorbed(model: Model, node: onnx.NodeProto, tail: set[int]) -> bool:
    """Whether only the tail (ids of its nodes) reads a float node: then the tail begins at the node's DequantizeLinear."""
    names = [name for name in node.output if name]
    if _is_quantized(node) or any(model.dtypes[name].kind != "f" or name in model.outputs for name in names):
        return False
    readers = [reader for name in names for reader in model.consumers.get(name, []) if _computes(model, reader)]
    return bool(readers) and all(id(reader) in tail for reader in readers)
