"""Arithmetic on bytes without quantization, which wraps around: functions of one or two bytes, tabulated by ONNX Runtime."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.broadcast import broadcast
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.compiler.frontend.remedies import not_supported
from arrayloom.compiler.frontend.runtime import Array, Session, small_model
from arrayloom.compiler.frontend.tabulate import all_bytes, channels_of, tabulate
from arrayloom.compiler.graph import BinaryLookup, Lookup
from arrayloom.isa.instructions import BYTE_VALUES

#: Operators on one or two integer tensors. Division by 0 is undefined, so its table entries do not matter.
FUNCTIONS_OF_BYTES = ("Add", "Sub", "Mul", "Div", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitShift")
_DIVISIONS = ("Div", "Mod")


def function(builder: Builder, node: onnx.NodeProto) -> None:
    """Imports an operator from bytes to bytes as a lookup table.

    Raises
    ------
    RefusalError
        An operand is not of bytes, or a constant differs between positions.
    """
    model = builder.model
    given = [name for name in node.input if not model.is_constant(name)]
    if any(model.dtypes[name] not in BYTES for name in node.input):
        raise not_supported(node)
    if len(given) == 2:
        a, b = broadcast(builder, node, *given)
        builder.add(BinaryLookup, node, a=a, b=b, table=_pairs(builder, node, given))
        return
    constants = [name for name in node.input if name not in given]
    channels = channels_of(model, node, constants, len(model.shapes[node.output[0]]))
    x = builder.tensor(given[0])
    builder.declare(node.output[0], x.shape)
    builder.add(Lookup, node, x=x.name, table=tabulate(model, [node], x, channels))


def _pairs(builder: Builder, node: onnx.NodeProto, given: list[str]) -> Array:
    """Returns the result [256, 256] for each pair of raw bytes."""
    model = builder.model
    first, second = (all_bytes(model.dtypes[name]) for name in given)
    if node.op_type in _DIVISIONS:
        second = np.where(second == 0, second.dtype.type(1), second)
    operator = onnx.NodeProto()
    operator.CopyFrom(node)
    operator.input[:] = ["a", "b"]  # both may be the same value in the model
    values = {"a": first.reshape(BYTE_VALUES, 1), "b": second.reshape(1, BYTE_VALUES)}
    kinds = {name: (value.dtype, value.shape) for name, value in values.items()}
    found = Session(small_model(model.proto, [operator], kinds, {}, [node.output[0]])).run(values)[node.output[0]]
    return np.ascontiguousarray(np.broadcast_to(found, (BYTE_VALUES, BYTE_VALUES)))
