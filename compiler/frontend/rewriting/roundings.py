"""Quantizes float values between integer layers: always if nothing is lost, otherwise if the user permits it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, MAXIMA, WEIGHTED, is_interpolation, moves
from arrayloom.compiler.frontend.lowering.bounds import bounds_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.quantization import Quantization, known_quantization
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.rewriting.float_values import FloatValues
from arrayloom.compiler.frontend.rewriting.pictures import COUNT
from arrayloom.compiler.frontend.rewriting.ranges import Ranges, quantization_of
from arrayloom.isa.host_parts import InsertedRounding

_NAMED = 3  # most values that a notice names


@dataclass(frozen=True)
class _Grid:
    """A quantization for a value, and whether it represents every element exactly."""

    quantization: Quantization
    exact: bool


def quantize_float_values(model: Model, report: Report, options: ImportOptions) -> Model:
    """Returns the model with float values between integer layers quantized; the report gets the roundings and one notice."""
    visit = FloatValues(model)
    values = visit.find()
    if not values:
        return model
    grids = _Grids(model)
    chosen = grids.choose(values, rounded=options.insert_rounding)
    if options.insert_rounding:
        open_values = [value for value in values if value not in chosen]
        ranges = Ranges(model).of(open_values) if open_values else {}
        for value, found in ranges.items():
            chosen[value] = _Grid(quantization_of(found, grids.dtype(value)), exact=False)
        _tell(report, model, [(value, chosen[value]) for value in values if not chosen[value].exact], len(open_values))
    editor = Editor(model)
    for value, grid in chosen.items():
        _insert(editor, value, grid.quantization)
    if chosen:
        _free_biases(editor, visit.readers)
    return editor.finish()


class _Grids:
    """Quantizations for float values that follow from the model itself."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[str, _Grid | None] = {}  # for all values computed so far

    def choose(self, values: Sequence[str], rounded: bool) -> dict[str, _Grid]:
        """Returns the quantizations that the model offers; a chosen one also counts for values computed from it.

        Values without one are not in the result.

        Parameters
        ----------
        values
            The float values.
        rounded
            Whether they may be rounded.
        """
        wanted, chosen = set(values), {}
        for node in self._model.nodes:
            for value in node.output:
                own = self._of_node(node)
                self._known[value] = own
                found = (own or self._of_moved(value) or self._of_reader(value)) if value in wanted else None
                if found is not None and (found.exact or rounded):
                    chosen[value] = found
                    self._known[value] = replace(found, exact=True)
        return chosen

    def dtype(self, value: str) -> np.dtype:
        """Returns the dtype of the integers from which a value is computed."""
        node = self._model.producers[value]
        while node.op_type != "DequantizeLinear":
            operands = [name for name in node.input if name in self._model.producers and not self._model.is_constant(name)]
            node = self._model.producers[operands[0]]
        return self._model.dtypes[node.input[0]]

    def _of_node(self, node: onnx.NodeProto) -> _Grid | None:
        """Returns the quantization of a node's result that follows from those of its operands."""
        if self._model.is_constant(node.output[0]):
            return None
        if node.op_type == "DequantizeLinear":
            return self._of_quantizer(node, exact=True)
        if node.op_type in MAXIMA or (moves(node) and node.op_type != "Pad"):
            return self._known.get(node.input[0])
        if is_interpolation(node):
            given = self._known.get(node.input[0])
            return None if given is None else replace(given, exact=False)
        if node.op_type in ACTIVATIONS:
            return self._clipped(node)
        if node.op_type == "Concat":
            grids = {self._known.get(name) for name in node.input}
            return grids.pop() if len(grids) == 1 else None
        return None

    def _clipped(self, node: onnx.NodeProto) -> _Grid | None:
        """Returns the quantization after bounds, which is not exact if elements at a bound lie between two steps."""
        given = self._known.get(node.input[0])
        if given is None:
            return None
        quantization = given.quantization
        exact = given.exact
        for bound in bounds_of(self._model, node):
            lowest, highest = quantization.bounds
            on_grid = float(quantization.dequantize(quantization.quantize(bound))) == bound
            exact &= on_grid or not lowest < bound < highest
        return _Grid(quantization, exact)

    def _of_moved(self, value: str) -> _Grid | None:
        """Returns the quantization of the only QuantizeLinear after movement, Concat and maxima, if nothing else follows.

        Quantizing commutes with these operators.
        """
        found = set(self._behind(value))
        return found.pop() if len(found) == 1 else None

    def _of_reader(self, value: str) -> _Grid | None:
        """Returns the quantization of a QuantizeLinear among several readers of the value."""
        grid = next((grid for grid in self._behind(value) if grid is not None), None)
        return None if grid is None else replace(grid, exact=False)

    def _behind(self, value: str) -> Iterator[_Grid | None]:
        """Yields the quantization of each reader of a value, also after monotone functions; None for other readers."""
        stack, seen = [value], {value}
        while stack:
            value = stack.pop()
            if value in self._model.outputs:
                yield None
            for reader in self._model.consumers.get(value, []):
                if reader.op_type == "QuantizeLinear":
                    yield self._of_quantizer(reader, exact=True)
                elif reader.op_type in (*MAXIMA, *ACTIVATIONS, "Concat") or moves(reader):
                    stack.extend(name for name in reader.output if name not in seen)
                    seen.update(reader.output)
                else:
                    yield None

    def _of_quantizer(self, node: onnx.NodeProto, exact: bool) -> _Grid | None:
        found = known_quantization(self._model, node)
        return None if found is None else _Grid(found, exact)


def _insert(editor: Editor, value: str, quantization: Quantization) -> None:
    """Inserts QuantizeLinear and DequantizeLinear after a float value; its QuantizeLinear nodes read the value before."""
    model = editor.model
    producer, readers = model.producers[value], model.consumers.get(value, [])
    unrounded = editor.fresh(f"{value}_unrounded")
    quantizers = [reader for reader in readers if reader.op_type == "QuantizeLinear"]
    editor.replace_readers(value, unrounded, quantizers)
    editor.rename(value, unrounded)
    scale = editor.constant(f"{value}_scale", float(quantization.scale), np.float32)
    zero = editor.constant(f"{value}_zero_point", quantization.zero_point, quantization.dtype)
    same = next((node for node in quantizers if known_quantization(model, node) == quantization), None)
    integer = same.output[0] if same is not None else editor.fresh(f"{value}_rounded")
    if same is None:
        editor.add("QuantizeLinear", [unrounded, scale, zero], integer, producer)
    editor.add("DequantizeLinear", [integer, scale, zero], value, producer)


def _free_biases(editor: Editor, layers: Sequence[onnx.NodeProto]) -> None:
    """Makes biases float that were quantized for another scale of the input; they are quantized for the new scale later."""
    model = editor.model
    changed = {tuple(node.output) for node in layers if node.op_type in WEIGHTED and len(node.input) > 2 and node.input[2]}
    for node in editor.nodes:
        if tuple(node.output) not in changed or not model.is_constant(node.input[2]):
            continue
        producer = model.producers.get(node.input[2])
        if producer is not None and producer.op_type == "DequantizeLinear":
            node.input[2] = editor.constant(f"{node.input[2]}_float", model.constants[node.input[2]])


def _tell(report: Report, model: Model, rounded: list[tuple[str, _Grid]], observed: int) -> None:
    """Records the roundings in the report, and adds one notice about them."""
    for value, grid in rounded:
        given = grid.quantization
        node = origin_name(model.producers[value])
        entry = InsertedRounding(value, node, float(given.scale), given.zero_point, str(given.dtype))
        report.inserted_roundings.append(entry)
    if not rounded:
        return
    named = ", ".join(f"'{value}'" for value, _ in rounded[:_NAMED])
    more = f" and {len(rounded) - _NAMED} more" if len(rounded) > _NAMED else ""
    values, are = ("values", "are") if len(rounded) > 1 else ("value", "is")
    text = (
        f"{len(rounded)} {values} that the model leaves in float between integer layers {are} rounded to 8 bits here "
        f"(--insert-rounding): {named}{more}"
    )
    if observed:
        text += f"; ranges estimated on {COUNT} made-up pictures, for lack of calibration data: {observed}"
    report.notices.append(text)
