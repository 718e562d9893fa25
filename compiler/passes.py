"""The compiler's passes in order."""

from arrayloom.compiler.backend.attention import require_attention
from arrayloom.compiler.backend.choose_folds import choose_folds
from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.dependencies import HazardTracker
from arrayloom.compiler.backend.depthwise import use_depthwise_unit
from arrayloom.compiler.backend.emit import emit
from arrayloom.compiler.backend.folding import fold
from arrayloom.compiler.backend.functions import tabulate_functions
from arrayloom.compiler.backend.fuse import fuse
from arrayloom.compiler.backend.gather import gather
from arrayloom.compiler.backend.image import Constants
from arrayloom.compiler.backend.layouts import allocation_root, assign_layouts, pack_inputs
from arrayloom.compiler.backend.legality import check_layouts, check_network, check_placement, require_supported
from arrayloom.compiler.backend.lower_graph import to_steps
from arrayloom.compiler.backend.placement import NoKernelRoomError, Placement, place
from arrayloom.compiler.backend.pools import split_pools
from arrayloom.compiler.backend.schedule import OnGroup, schedule
from arrayloom.compiler.backend.slices import split_by_slices
from arrayloom.compiler.backend.spread import spread_by_rows
from arrayloom.compiler.backend.steps import Network
from arrayloom.compiler.backend.stream import Stream, coalesce
from arrayloom.compiler.graph import Graph
from arrayloom.compiler.legality import check_graph
from arrayloom.isa.config import Config
from arrayloom.isa.program import Program


def run_passes(graph: Graph, config: Config, model: str, on_group: OnGroup | None = None) -> Program:
    """Compiles an integer graph to a program.

    ``on_group`` is called with the number of groups of steps written so far and the number of all groups. Raises
    ``UnsupportedError``, which lists each node that the accelerator cannot compute, and ``CompileError``, which names a node
    whose numbers or size do not fit.
    """
    check_graph(graph)
    graph = tabulate_functions(graph)
    check_graph(graph)
    require_supported(graph)
    require_attention(graph, config)
    network, placement = _placed(graph, config)
    check_placement(network, placement, config)
    stream = Stream(HazardTracker(config.activation_words), HazardTracker(placement.memory_words))
    context = LoweringContext(config, network, placement, Constants(config.size), stream)
    schedule(context, on_group)
    return emit(graph, context, coalesce(stream.finish(), config), model)


def _placed(graph: Graph, config: Config) -> tuple[Network, Placement]:
    """Returns the network with its tensors placed.

    Concatenations whose parts do not all have a place on chip are stored, and depthwise convolutions whose kernels have no
    place are computed on the array.
    """
    stored: set[str] = set()
    on_array: set[str] = set()
    while True:
        network = _network(graph, config, stored, on_array)
        try:
            placement = place(network, config)
        except NoKernelRoomError as error:
            on_array.add(error.output)
            continue
        apart = {name: concat for concat, name in network.gathered.items() if _is_spilled(network, placement, name)}
        if not apart:
            return network, placement
        stored.update(apart.values())


def _is_spilled(network: Network, placement: Placement, name: str) -> bool:
    return any(allocation_root(network, member)[0] not in placement.chip for member in network.members(name))


def _network(graph: Graph, config: Config, stored: set[str], on_array: set[str]) -> Network:
    """Returns the steps with the layouts of their tensors.

    ``stored`` are the concatenations that must be stored, ``on_array`` the outputs of depthwise convolutions that the array
    must compute."""
    network = to_steps(graph)
    check_network(network)
    fuse(network)
    split_pools(network, config)
    split_by_slices(network, config.size)
    fold(network, choose_folds(network, config))
    gather(network, config, stored)
    spread_by_rows(network, config)
    use_depthwise_unit(network, config, on_array)
    check_network(network)
    pack_inputs(network, config.size)
    assign_layouts(network, config.size)
    check_layouts(network)
    return network
