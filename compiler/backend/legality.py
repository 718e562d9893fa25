"""Checks that the device can compute a graph, and invariants of the network that hold between passes."""

from collections.abc import Iterator

from arrayloom.compiler.backend.epilogue import HIGH, LOW
from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.operations import Average, Maximum, Sum
from arrayloom.compiler.backend.placement import Placement
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.compiler.errors import GraphError, Unsupported, UnsupportedError
from arrayloom.compiler.graph import AveragePool, Conv, Graph, MaxPool, Op, SumPool
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import Convolve

REMEDY = "split the layer, or run it on the host"


def require_supported(graph: Graph) -> None:
    """Raises ``UnsupportedError``, which lists each operation whose extents do not fit the fields of an instruction."""
    found = [entry for op in graph.ops for entry in _unsupported(graph, op)]
    if found:
        raise UnsupportedError(found)


def _unsupported(graph: Graph, op: Op) -> Iterator[Unsupported]:
    limits = {spec.name: spec.high for spec in Convolve.specs()}
    for name, value, limit in _extents(graph, op):
        if value > limits[limit]:
            reason = f"the device computes at most {limits[limit]}"
            yield Unsupported(op.user_node, op.user_operator, f"{name} = {value}", reason, REMEDY)


def _extents(graph: Graph, op: Op) -> Iterator[tuple[str, int, str]]:
    """Yields (what it is, value, field of the instruction that holds it)."""
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


def check_network(network: Network) -> None:
    """Raises ``GraphError`` if a step reads a tensor that is not yet computed, or the POST unit cannot do its epilogue."""
    made = {port.tensor for port in network.inputs}
    for step in network.steps:
        for name in network.reads(step):
            _require(_is_made(network, name, made), step, f"reads '{name}' before it is made")
        _require(step.output not in made, step, "makes a tensor a second time")
        _check_epilogue(network, step)
        made.add(step.output)
    for name in network.kept():
        if not _is_made(network, name, made):
            raise GraphError(f"tensor '{name}' leaves the device and is not made")


def _check_epilogue(network: Network, step: Step) -> None:
    epilogue = step.epilogue
    _require(LOW <= epilogue.low <= epilogue.high <= HIGH, step, f"clamps to {epilogue.low}..{epilogue.high}")
    pools = isinstance(step.operation, Average | Maximum | Sum)
    _require(not (pools and epilogue.residual), step, "adds a residual to a pool")
    rows = 1 if epilogue.lookup_table is None else len(epilogue.lookup_table)
    _require(rows in (1, network.shapes[step.output][0]), step, f"has a lookup table of {rows} rows")


def check_layouts(network: Network) -> None:
    """Raises ``GraphError`` if the POST unit would have to move channels between blocks or lanes."""
    for step in network.steps:
        output = network.layouts[step.output].segments
        if not step.operation.places_channels:
            _require(network.layouts[step.x].segments == output, step, f"moves channels of '{step.x}'")
        residual = step.epilogue.residual
        if residual:
            same = network.layouts[residual.tensor].segments == output
            _require(same, step, f"moves channels of '{residual.tensor}'")


def check_placement(network: Network, placement: Placement, config: Config) -> None:
    """Raises ``GraphError`` if a tensor has no place, or one outside the scratchpad."""
    for index, group in enumerate(placement.groups):
        for step in (network.steps[number] for number in group.steps):
            for name in (*network.reads(step), step.output):
                root = allocation_root(network, name)[0]
                placed = root in placement.chip or (root in placement.memory and index in placement.scratch_buffers)
                _require(placed, step, f"uses '{name}', which has no place")
    for name, base in placement.chip.items():
        if base + network.layouts[name].words > config.activation_words:
            raise GraphError(f"tensor '{name}' reaches beyond the scratchpad")


def _is_made(network: Network, name: str, made: set[str]) -> bool:
    if name in network.concats:
        return all(_is_made(network, part, made) for part in network.concats[name])
    return name in made


def _require(legal: bool, step: Step, what: str) -> None:
    if not legal:
        raise GraphError(f"step '{step}': {what}")
