"""The compiler's passes in order."""

from arrayloom.compiler.backend.choose_folds import choose_folds
from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.dependencies import HazardTracker
from arrayloom.compiler.backend.emit import emit
from arrayloom.compiler.backend.folding import fold
from arrayloom.compiler.backend.fuse import fuse
from arrayloom.compiler.backend.image import Constants
from arrayloom.compiler.backend.layouts import assign_layouts, pack_inputs
from arrayloom.compiler.backend.legality import check_layouts, check_network, check_placement, require_supported
from arrayloom.compiler.backend.lower_graph import to_steps
from arrayloom.compiler.backend.placement import place
from arrayloom.compiler.backend.pools import split_pools
from arrayloom.compiler.backend.schedule import schedule
from arrayloom.compiler.backend.slices import split_by_slices
from arrayloom.compiler.backend.stream import Stream, coalesce
from arrayloom.compiler.graph import Graph
from arrayloom.compiler.legality import check_graph
from arrayloom.isa.config import Config
from arrayloom.isa.program import Program


def run_passes(graph: Graph, config: Config, model: str) -> Program:
    """An integer graph to a program.

    Raises ``UnsupportedError`` with every node that the accelerator cannot compute, ``CompileError`` naming the node
    whose numbers or size do not fit.
    """
    check_graph(graph)
    require_supported(graph)
    network = to_steps(graph)
    check_network(network)
    fuse(network)
    split_pools(network, config)
    split_by_slices(network, config.size)
    fold(network, choose_folds(network, config))
    check_network(network)
    pack_inputs(network, config.size)
    assign_layouts(network, config.size)
    check_layouts(network)
    placement = place(network, config)
    check_placement(network, placement, config)
    stream = Stream(HazardTracker(config.activation_words), HazardTracker(placement.memory_words))
    context = LoweringContext(config, network, placement, Constants(config.size), stream)
    schedule(context)
    return emit(graph, context, coalesce(stream.finish(), config), model)
