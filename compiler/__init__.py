"""From an ONNX model to the instructions of the accelerator."""

from pathlib import Path

import onnx

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Graph
from arrayloom.compiler.passes import run_passes
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.program import Program


def compile_model(model: str | Path | onnx.ModelProto, config: str | Config = DEFAULT) -> Program:
    """A quantized ONNX model (path or proto) as a program for ``config``, a preset's name or a ``Config``.

    Raises ``CompileError`` (``ModelError``, ``UnsupportedError``) naming node, reason and remedy, and ``ConfigError``
    for an unknown preset.
    """
    return compile_graph(import_model(model).graph, config)


def compile_graph(graph: Graph, config: str | Config = DEFAULT) -> Program:
    """An imported model as a program; errors as in ``compile_model``."""
    return run_passes(graph, load_config(config), graph.integer_model.graph.name)
