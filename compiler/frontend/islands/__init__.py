"""Float islands: DequantizeLinear, data movement and element-wise functions, QuantizeLinear.

An island with one integer source becomes its movement and a lookup table. ONNX Runtime computes the table by running the
island's own nodes on all 256 bytes, so that no operator is reimplemented. An island with two sources and no movement becomes
a table for pairs of bytes.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.islands.function import Function
from arrayloom.compiler.frontend.islands.pair import import_pair
from arrayloom.compiler.frontend.islands.region import Region, find_region
from arrayloom.compiler.frontend.islands.route import Route, find_route
from arrayloom.compiler.frontend.moved import Moved, image_shape
from arrayloom.compiler.frontend.movement import match
from arrayloom.compiler.frontend.report import RefusalError, node_name
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.frontend.tabulate import all_bytes
from arrayloom.compiler.graph import Lookup, Move


def import_island(builder: Builder, quantizer: onnx.NodeProto) -> None:
    """Imports the island that ends in `quantizer` as one operation, or as a movement that is merged with others."""
    region = find_region(builder, quantizer)
    if len(region.sources) == 2:
        import_pair(builder, region)
        return
    x = builder.described(region.source)
    route = find_route(builder.model, region, x)
    function = Function(builder.model, region, x)
    table = function.table(route.channels)
    fills = {function.fill(region.pads[-int(code) - 1]) for code in np.unique(route.index[route.index < 0])}
    if len(fills) > 1:
        raise RefusalError(f"it pads with several values ({sorted(fills)} once quantized)", "pad with one value")
    fill = fills.pop() if fills else None
    builder.claimed.update(name for node in region.nodes for name in node.output)
    if builder.model.dtypes[quantizer.output[0]] == x.dtype and np.array_equal(table, all_bytes(x.dtype)[np.newaxis]):
        before = builder.moved(region.source, fill)
        builder.defer(quantizer.output[0], before.through(route.index, fill, quantizer, region.source))
    elif route.moves:
        _add_move(builder, region, route, table, fill)
    else:
        x = builder.tensor(region.source)
        builder.declare(quantizer.output[0], x.shape)
        builder.add(Lookup, quantizer, x=x.name, table=table)


def _add_move(builder: Builder, region: Region, route: Route, table: Array, fill: int | None) -> None:
    x = builder.tensor(region.source)
    shape = image_shape(tuple(builder.model.shapes[region.quantizer.output[0]][1:]))
    try:
        movement = match(route.index, x, shape)
    except RefusalError:
        _defer_behind_table(builder, region, route, table, fill)
        return
    builder.declare(region.quantizer.output[0])
    by_output = _by_output(table, movement.channels)
    builder.add(Move, region.quantizer, x=x.name, **vars(movement), table=by_output, fill=fill or 0)


def _defer_behind_table(builder: Builder, region: Region, route: Route, table: Array, fill: int | None) -> None:
    """Adds a tensor with the function of every element, and defers its movement, which may take several steps."""
    x, output = builder.tensor(region.source), region.quantizer.output[0]
    made = builder.inner(f"{x.name}, spread for table of {node_name(region.quantizer)}", x, builder.model.dtypes[output])
    builder.add(Lookup, region.quantizer, made.name, x=x.name, table=table)
    index = np.maximum(route.index, -1)
    builder.defer(output, Moved(made.name, index, fill, region.quantizer, made.name, index))


def _by_output(table: Array, channels: NDArray[np.int32]) -> Array:
    """Returns the function of each channel of a movement's result, which is that of its source channel."""
    return table if len(table) == 1 else np.ascontiguousarray(table[np.maximum(channels, 0)])
