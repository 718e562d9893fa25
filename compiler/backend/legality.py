"""The rules of the device's network, checked between passes."""

from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.placement import Placement
from arrayloom.compiler.backend.steps import HIGH, LOW, Average, Maximum, Network, Step, Sum
from arrayloom.compiler.errors import GraphError
from arrayloom.isa.config import Config


def check_network(network: Network) -> None:
    """Raises ``GraphError`` where a step reads what is not made before, or its tail is not one of the POST unit's."""
    made = {port.tensor for port in network.inputs}
    for step in network.steps:
        for name in network.reads(step):
            _require(_is_made(network, name, made), step, f"reads '{name}' before it is made")
        _require(step.output not in made, step, "makes a tensor a second time")
        _require(LOW <= step.low <= step.high <= HIGH, step, f"clamps to {step.low}..{step.high}")
        pools = isinstance(step.operation, Average | Maximum | Sum)
        _require(not (pools and step.residual), step, "adds a residual to a pool")
        rows = 1 if step.table is None else len(step.table)
        _require(rows in (1, network.shapes[step.output][0]), step, f"has a table of {rows} rows")
        made.add(step.output)
    for name in network.kept():
        if not _is_made(network, name, made):
            raise GraphError(f"tensor '{name}' leaves the device and is not made")


def check_layouts(network: Network) -> None:
    """Raises ``GraphError`` where the POST unit would have to move channels between blocks or lanes."""
    for step in network.steps:
        output = network.layouts[step.output].segments
        if not step.on_array:
            _require(network.layouts[step.x].segments == output, step, f"moves channels of '{step.x}'")
        if step.residual:
            same = network.layouts[step.residual.tensor].segments == output
            _require(same, step, f"moves channels of '{step.residual.tensor}'")


def check_placement(network: Network, placement: Placement, config: Config) -> None:
    """Raises ``GraphError`` where a tensor has no place, or a place outside the memory."""
    for index, group in enumerate(placement.groups):
        for step in (network.steps[number] for number in group.steps):
            for name in (*network.reads(step), step.output):
                outer = allocation_root(network, name)[0]
                placed = outer in placement.chip or (outer in placement.memory and index in placement.scratch_buffers)
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
