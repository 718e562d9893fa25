"""ONNX to integer graph, from top to bottom."""

from pathlib import Path

import onnx

from arrayloom.compiler.errors import ModelError, SessionError, UnsupportedError
from arrayloom.compiler.frontend.assemble import assemble
from arrayloom.compiler.frontend.batch import free_batch
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.compiler.frontend.load import load_model
from arrayloom.compiler.frontend.lowering import lower
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.graph import Graph

__all__ = ["NOTICE", "NOTICE_PREFIX", "import_model"]

#: Key of a model's metadata whose value every output about the model repeats, such as that its weights are random.
NOTICE = "arrayloom.notice"

#: With which such a value begins among the notes of a graph and of its program.
NOTICE_PREFIX = "notice: "


def import_model(source: str | Path | onnx.ModelProto) -> Graph:
    """Import a quantized ONNX model, QDQ or QOperator.

    Args:
        source: the path of a model, or the model itself. A model in memory must hold its weights.

    Returns:
        The integer graph. Its `integer_model` is the model itself where there was nothing to lower; a graph of QDQ
        form is lowered to ONNX Runtime's integer operators, and every tensor equals that lowered model's.

    Raises:
        ModelError: the file or the model as a whole is unusable.
        UnsupportedError: some nodes cannot be compiled; all of them are listed.
    """
    model, notes = free_batch(load_model(source))
    report = Report()
    report.notes.extend(notes)
    report.notes.extend(NOTICE_PREFIX + entry.value for entry in model.metadata_props if entry.key == NOTICE)
    original = _analyse(model)
    lowered = lower(original, report)
    integer = original if lowered is model else _analyse(lowered)
    graph = assemble(integer, report)
    graph.check()
    return graph


def _analyse(model: onnx.ModelProto) -> Model:
    """The model with its values known; a model that ONNX Runtime rejects is explained by the nodes we do not know."""
    try:
        return Model(model)
    except SessionError as error:
        nodes = unknown_nodes(model)
        if nodes:
            raise UnsupportedError(nodes) from error
        raise ModelError(f"{error}; export the model again, or mend the node it names") from error
