"""What the device cannot compute, found before anything is built: all nodes in one report."""

from collections.abc import Iterator

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.graph import AveragePool, Conv, Graph, MaxPool, Op, SumPool
from arrayloom.isa.instructions import Convolve

REMEDY = "split the layer, or run it on the host"


def require_supported(graph: Graph) -> None:
    """Raises ``UnsupportedError`` with every operation whose extents do not fit an instruction."""
    found = [entry for op in graph.ops for entry in _unsupported(graph, op)]
    if found:
        raise UnsupportedError(found)


def _unsupported(graph: Graph, op: Op) -> Iterator[Unsupported]:
    limits = {spec.name: spec.high for spec in Convolve.specs()}
    for name, value, limit in _extents(graph, op):
        if value > limits[limit]:
            yield Unsupported(op.name, op.op_type, f"{name} = {value}", f"the device computes at most {limits[limit]}",
                              REMEDY)


def _extents(graph: Graph, op: Op) -> Iterator[tuple[str, int, str]]:
    """(what, value, the field of an instruction that holds it)."""
    for tensor in (graph.tensors[name] for name in (*op.inputs, op.output)):
        yield f"height of {tensor.name}", tensor.shape[1], "height"
        yield f"width of {tensor.name}", tensor.shape[2], "width"
    if isinstance(op, Conv | MaxPool | AveragePool):
        yield "kernel height", op.kernel[0], "taps_y"
        yield "kernel width", op.kernel[1], "taps_x"
        yield "strides", max(op.strides), "stride_y"
    if isinstance(op, Conv | MaxPool):
        yield "dilations", max(op.dilations), "dilation_y"
    if isinstance(op, SumPool):
        yield "kernel height", graph.tensors[op.x].shape[1], "taps_y"
        yield "kernel width", graph.tensors[op.x].shape[2], "taps_x"
