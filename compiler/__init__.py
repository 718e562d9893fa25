"""From an ONNX model to the instructions of the accelerator."""

from pathlib import Path

import onnx

from arrayloom.compiler.backend.schedule import OnGroup
from arrayloom.compiler.errors import CompileError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.compiler.graph import Graph
from arrayloom.compiler.passes import run_passes
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_part_check import read_part
from arrayloom.isa.program import Program


def compile_model(model: str | Path | onnx.ModelProto, config: str | Config = DEFAULT,
                  options: ImportOptions = DEFAULT_OPTIONS, on_group: OnGroup | None = None) -> Program:
    """A quantized ONNX model (path or proto) as a program for ``config``, a preset's name or a ``Config``.

    ``options``: how much of the network the host may compute in float, and whether values may be rounded that the model has
    in float; ``on_group``: called with the groups of layers that are written, and their number. Raises ``CompileError``
    (``ModelError``, ``UnsupportedError``) naming node, reason and remedy, and ``ConfigError`` for an unknown preset.
    """
    chosen = load_config(config)
    return compile_graph(import_model(model, options.of(chosen)).graph, chosen, on_group)


def compile_graph(graph: Graph, config: str | Config = DEFAULT, on_group: OnGroup | None = None) -> Program:
    """An imported model as a program; errors as in ``compile_model``."""
    _check_host(graph)
    return run_passes(graph, load_config(config), graph.integer_model.graph.name, on_group)


def _check_host(graph: Graph) -> None:
    """What the host computes must be what a program file may hold."""
    for name, part in graph.host.parts.items():
        try:
            read_part(part, name)
        except EncodingError as error:
            raise CompileError(f"{error}; end the network before that node, or export the model without it") from None
