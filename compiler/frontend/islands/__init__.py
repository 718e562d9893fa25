"""Float islands: DequantizeLinear, data movement and functions of one element, QuantizeLinear.

An island with one integer source is that movement plus a table, and the table is filled by running the island's own
nodes in ONNX Runtime on all 256 bytes: no operator is imitated.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from compiler.frontend.builder import Builder
from compiler.frontend.islands.function import Function
from compiler.frontend.islands.region import Region, find_region
from compiler.frontend.islands.route import Route, find_route
from compiler.frontend.movement import match
from compiler.frontend.report import RefusalError
from compiler.frontend.runtime import Array
from compiler.frontend.tabulate import all_bytes
from compiler.graph import Lookup, Move, Tensor, View


def import_island(builder: Builder, quantizer: onnx.NodeProto) -> None:
    """Turn the island that ends in `quantizer` into one operation."""
    region = find_region(builder, quantizer)
    x = builder.tensor(region.source)
    route = find_route(builder.model, region, x)
    function = Function(builder.model, region, x)
    builder.claimed.update(name for node in region.nodes for name in node.output)
    if route.moves:
        _add_move(builder, region, function, x, route)
        return
    y = builder.declare(quantizer.output[0], x.shape)
    table = function.table(route.channels)
    if y.dtype == x.dtype and np.array_equal(table, all_bytes(x.dtype)[np.newaxis]):
        builder.add(View, quantizer, x=x.name)
    else:
        builder.add(Lookup, quantizer, x=x.name, table=table)


def _add_move(builder: Builder, region: Region, function: Function, x: Tensor, route: Route) -> None:
    y = builder.declare(region.quantizer.output[0])
    index = route.index
    movement = match(index, x, y.shape)
    fills = {function.fill(region.pads[-int(code) - 1]) for code in np.unique(index[index < 0])}
    if len(fills) > 1:
        raise RefusalError(f"it pads with several values ({sorted(fills)} once quantized)", "pad with one value")
    builder.add(
        Move,
        region.quantizer,
        x=x.name,
        **vars(movement),
        table=_by_output(function.table(route.channels), movement.channels),
        fill=fills.pop() if fills else 0,
    )


def _by_output(table: Array, channels: NDArray[np.int32]) -> Array:
    """The function of each channel that a movement makes, from those of the channels it takes them from."""
    return table if len(table) == 1 else np.ascontiguousarray(table[np.maximum(channels, 0)])
