"""Imports the inputs of the model, with the steps by which the host moves and quantizes them."""

from dataclasses import dataclass

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.kinds import BY_HOST
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import BYTES, Quantization, of_quantizer, per_tensor
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import GraphInput, View
from arrayloom.isa.host_steps import HostStep, Quantize, Reshape, Transpose


@dataclass(frozen=True)
class MovedInput:
    """A float value that holds the elements of a model input, moved.

    Attributes
    ----------
    name
        The input's name.
    moves
        The steps that move the elements, in order.
    """

    name: str
    moves: tuple[HostStep, ...]


def import_integer_inputs(builder: Builder) -> None:
    """Imports inputs that are bytes; the host does the transposes that are the only readers of one."""
    model = builder.model
    for value in model.inputs:
        if model.dtypes[value.name] in BYTES and value.name in model.consumers:
            made, moves = _transposed(builder, value.name)
            tensor = builder.declare(made)
            shape = tuple(model.shapes[value.name][1:])
            builder.inputs.append(GraphInput(value.name, shape, tensor.dtype, made, moves=moves))


def import_float_input(builder: Builder, node: onnx.NodeProto, given: MovedInput) -> None:
    """Imports a QuantizeLinear of a model input, together with the movement before it, as work of the host."""
    model = builder.model
    quantization = of_quantizer(model, node)
    tensor = builder.declare(node.output[0])
    dtype = model.dtypes[given.name]
    if dtype != "float32":
        raise RefusalError(f"the input '{given.name}' has dtype {dtype}", "give the model a float32, uint8 or int8 input")
    _claim(builder, node.input[0])
    step = Quantize(float(quantization.scale), quantization.zero_point, str(tensor.dtype))
    for earlier in [port for port in builder.inputs if port.name == given.name]:
        if earlier.quantize != step:
            raise RefusalError(
                f"the input '{given.name}' is quantized in two ways", "quantize it once, for all nodes that read it"
            )
        if earlier.moves != given.moves:
            raise RefusalError(
                f"the input '{given.name}' is moved in two ways", "transpose and reshape it once, for all nodes that read it"
            )
        builder.add(View, node, x=earlier.tensor)
        return
    shape = tuple(model.shapes[given.name][1:])
    builder.inputs.append(GraphInput(given.name, shape, dtype, tensor.name, step, given.moves))


def host_movement(model: Model, node: onnx.NodeProto) -> list[HostStep]:
    """Returns the steps, one or none, with which the host does a reshape, a Transpose or an Identity.

    Raises
    ------
    RefusalError
        The node moves the batch.
    """
    if node.op_type == "Transpose":
        rank = len(model.shapes[node.input[0]])
        order = tuple(attribute(node, "perm", range(rank)[::-1]))
        if order[0] != 0:
            raise RefusalError("it moves the batch", "keep the batch the first dimension", f"perm = {list(order)}")
        return [] if order == tuple(range(rank)) else [Transpose(order)]
    before, after = model.shapes[node.input[0]][1:], model.shapes[node.output[0]][1:]
    return [] if before == after else [Reshape(tuple(after))]


def find_input(model: Model, quantizer: onnx.NodeProto) -> MovedInput | None:
    """Returns the model input that a QuantizeLinear reads directly or after movement by the host; None for other values."""
    moves: list[HostStep] = []
    inputs = {given.name for given in model.inputs}
    value = quantizer.input[0]
    while value not in inputs:
        node = model.producers.get(value)
        if node is None or node.op_type not in BY_HOST or model.is_constant(value):
            return None
        try:
            moves = [*host_movement(model, node), *moves]
        except RefusalError:
            return None
        value = node.input[0]
    return MovedInput(value, tuple(moves))


def _claim(builder: Builder, value: str) -> None:
    """Marks the nodes that move an input to `value` as imported."""
    while (node := builder.model.producers.get(value)) is not None:
        builder.claimed.update(node.output)
        value = node.input[0]


def _transposed(builder: Builder, name: str) -> tuple[str, tuple[HostStep, ...]]:
    """Returns the value after the last Transpose in a chain of movements that alone reads an input, and the steps to it."""
    model = builder.model
    made = value = name
    moves: list[HostStep] = []
    pending: list[HostStep] = []
    nodes: list[onnx.NodeProto] = []
    while value not in model.outputs and len(readers := model.consumers.get(value, [])) == 1:
        node = readers[0]
        if node.op_type not in BY_HOST:
            break
        try:
            steps = host_movement(model, node)
        except RefusalError:
            break
        pending.extend(steps)
        nodes.append(node)
        value = node.output[0]
        if any(isinstance(step, Transpose) for step in steps):
            builder.claimed.update(name for moving in nodes for name in moving.output)
            made, moves, pending = value, [*moves, *pending], []
    return made, tuple(moves)


def find_encoding(model: Model, name: str) -> Quantize | None:
    """Returns the quantization of an input of bytes, if all nodes that read it, directly or moved, agree on one.

    Returns None if they do not, or the input is not of bytes.
    """
    if model.dtypes[name] not in BYTES:
        return None
    found = set()
    values = [name]
    for value in values:  # the loop appends to it
        for node in model.consumers.get(value, []):
            if node.op_type in BY_HOST:
                values.append(node.output[0])
            elif (quantization := _of_operand(model, node, value)) is not None:
                found.add(Quantize(float(quantization.scale), quantization.zero_point, str(quantization.dtype)))
    return found.pop() if len(found) == 1 else None


def _of_operand(model: Model, node: onnx.NodeProto, value: str) -> Quantization | None:
    """Returns the quantization of an integer operand that the node reading it gives; None if it gives none."""
    first = node.op_type == "QGemm" or (node.op_type.startswith("QLinear") and node.op_type != "QLinearConcat")
    if node.op_type != "DequantizeLinear" and not (first and node.input[0] == value):
        return None
    try:
        return per_tensor(model, node.input[1], node.input[2] if len(node.input) > 2 else "", model.dtypes[value])
    except RefusalError:
        return None
