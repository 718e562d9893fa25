"""Islands with two integer sources: a function of two elements, tabulated by ONNX Runtime on all 65,536 pairs of bytes."""

import numpy as np

from arrayloom.compiler.frontend.broadcast import broadcast
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.islands.region import Region
from arrayloom.compiler.frontend.kinds import FUNCTIONS, NOTHING
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import described, origin_name
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array, Session, small_model
from arrayloom.compiler.frontend.tabulate import all_bytes, constants_of
from arrayloom.compiler.graph import BinaryLookup
from arrayloom.isa.instructions import BYTE_VALUES


def import_pair(builder: Builder, region: Region) -> None:
    """Imports an island with two sources as one operation.

    Raises
    ------
    RefusalError
        It moves elements, or has a constant with several values.
    """
    model, quantizer = builder.model, region.quantizer
    _check_nodes(model, region)
    sources = region.sources
    table = _tabulate(model, region)
    builder.claimed.update(name for node in region.nodes for name in node.output)
    a, b = broadcast(builder, quantizer, *sources)
    builder.add(BinaryLookup, quantizer, a=a, b=b, table=table)
    builder.report.notes.append(_note(region, table))


def _note(region: Region, table: Array) -> str:
    """Returns a note about the cost of the table and, if it replaces several operators, about how to avoid it."""
    groups = min(len(np.unique(rows, axis=0)) for rows in (table, table.T))
    cost = f"'{origin_name(region.quantizer)}' is computed as a function of two bytes, {groups} times the work of a sum"
    functions = [node for node in region.nodes if node.op_type in FUNCTIONS]
    if len(functions) < 2:
        return cost
    return f"{cost}; QuantizeLinear and DequantizeLinear around each operator before it make it cheaper"


def _check_nodes(model: Model, region: Region) -> None:
    for node in region.nodes:
        if node.op_type not in (*FUNCTIONS, *NOTHING, "QuantizeLinear", "DequantizeLinear"):
            raise RefusalError(
                f"its float operand combines several quantized values "
                f"({', '.join(map(repr, region.sources))}) and moves them by {described(node)}",
                "put QuantizeLinear and DequantizeLinear around every operator that combines them",
            )
        for name in node.input:
            if name and model.is_constant(name) and model.constants[name].size > 1:
                raise RefusalError(
                    f"a function of two quantized values ({', '.join(map(repr, region.sources))}) is combined with the "
                    f"constant '{name}' of several values",
                    "put QuantizeLinear and DequantizeLinear around every operator that combines them",
                    f"shape {list(model.constants[name].shape)}",
                )


def _tabulate(model: Model, region: Region) -> Array:
    """Returns the result [256, 256] by the raw bytes of both sources, which are given along two different axes."""
    rank = max(2, len(model.shapes[region.quantizer.output[0]]))
    result = region.quantizer.output[0]
    given = {}
    for source, axis in zip(region.sources, (rank - 2, rank - 1), strict=True):
        shape = [1] * rank
        shape[axis] = BYTE_VALUES
        given[source] = all_bytes(model.dtypes[source]).reshape(shape)
    inputs = {name: (value.dtype, value.shape) for name, value in given.items()}
    part = small_model(model.proto, region.nodes, inputs, constants_of(model, region.nodes), [result])
    values: Array = Session(part).run(given)[result]
    return np.broadcast_to(values, (*[1] * (rank - 2), BYTE_VALUES, BYTE_VALUES)).reshape(BYTE_VALUES, BYTE_VALUES).copy()
