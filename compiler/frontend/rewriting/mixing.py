"""Detects models that mix int8 and uint8 activations so that ONNX Runtime has no integer kernel."""

from dataclasses import dataclass, field, fields

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.layers import weight_quantizer
from arrayloom.compiler.frontend.lowering import RULES
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import BYTES, known_quantization

_INT8 = np.dtype(np.int8)


def mixes_dtypes(model: Model) -> bool:
    """Whether operands and results of an operator or a movement differ in dtype, or ONNX Runtime has no kernel for them."""
    regions = _Regions()
    for node in model.nodes:
        values = [name for name in (*node.input, *node.output) if name in model.dtypes and not model.is_constant(name)]
        if not values:
            continue
        if node.op_type == "QuantizeLinear":
            regions.add(values[0], _Region(dtypes={model.dtypes[values[-1]]}, grids=_grid(model, node)))
        elif node.op_type == "DequantizeLinear":
            producer = model.producers.get(values[0])
            behind = producer is not None and producer.op_type == "QuantizeLinear"
            regions.add(values[-1], _Region(dtypes={model.dtypes[values[0]]}, grids=_grid(model, node),
                                            sources={values[-1]}, behind=behind))
        elif model.dtypes[values[-1]] == np.float32:
            regions.join(values)
            moves = node.op_type in (*MOVEMENTS, *NOTHING)
            regions.add(values[0], _Region(moves=moves, computes=not moves))
            if node.op_type in RULES and node.op_type not in ("MaxPool", "GlobalMaxPool"):
                squares = len(set(node.input)) < len(node.input) and node.op_type in FUNCTIONS
                regions.add(values[0], _Region(operators={node.op_type}, squares=squares,
                                               uint8_weights=_has_uint8_weight(model, node)))
    return regions.any_in_the_way()


def _grid(model: Model, node: onnx.NodeProto) -> set[tuple[float, int]]:
    """Returns the scale and the zero point of a quantizer, relative to the lowest byte; empty if it is not per tensor."""
    quantization = known_quantization(model, node)
    if quantization is None:
        return set()
    return {(float(quantization.scale), quantization.zero_point - int(np.iinfo(quantization.dtype).min))}


def _has_uint8_weight(model: Model, node: onnx.NodeProto) -> bool:
    quantizer = weight_quantizer(model, node)
    return quantizer is not None and model.dtypes[quantizer.input[0]] == np.uint8


@dataclass
class _Region:
    """Connected float values: dtypes and quantizations at the border, dequantized values, and operators on them."""

    dtypes: set[np.dtype] = field(default_factory=set)
    grids: set[tuple[float, int]] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    squares: bool = False  # an operator reads one value twice
    uint8_weights: bool = False
    behind: bool = False  # its integers are the result of another region
    moves: bool = False
    computes: bool = False

    def joined(self, other: "_Region") -> "_Region":
        """Returns the properties of both regions together."""
        return _Region(**{part.name: getattr(self, part.name) | getattr(other, part.name) for part in fields(self)})

    def is_in_the_way(self) -> bool:
        """Whether ONNX Runtime has no kernel for an operator, or a movement cannot be merged with those before and after it.

        Functions of one tensor become lookup tables, whatever the dtypes.
        """
        several = len(self.sources) > 1 or self.squares
        needed = self.operators if several else self.operators.difference(FUNCTIONS)
        mixed = len(self.dtypes.intersection(BYTES)) > 1
        only_moves = self.behind and self.moves and not self.computes and len(self.grids) == 1
        return (mixed and (bool(needed) or only_moves)) or (self.uint8_weights and _INT8 in self.dtypes)


class _Regions:
    """The regions of a model, found by joining the values of each node."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._entries: list[tuple[str, _Region]] = []

    def join(self, values: list[str]) -> None:
        """Records that the values belong to one region."""
        for value in values[1:]:
            self._parents[self._root(value)] = self._root(values[0])

    def add(self, value: str, part: _Region) -> None:
        """Adds properties of the region to which a value belongs."""
        self._entries.append((value, part))

    def any_in_the_way(self) -> bool:
        """Whether `is_in_the_way` holds for some region."""
        regions: dict[str, _Region] = {}
        for value, entry in self._entries:
            root = self._root(value)
            regions[root] = regions.get(root, _Region()).joined(entry)
        return any(region.is_in_the_way() for region in regions.values())

    def _root(self, value: str) -> str:
        while self._parents.get(value, value) != value:
            value = self._parents[value]
        return value
