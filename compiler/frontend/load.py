"""Reads a model and refuses what no later pass could compile."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data
from onnx.inliner import inline_local_functions

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.origin import trace_origins
from arrayloom.compiler.frontend.runtime import model_inputs
from arrayloom.compiler.frontend.schemes import QUANTIZE, check_schemes, is_quantized
from arrayloom.compiler.frontend.tidy import tidy
from arrayloom.compiler.frontend.training import check_inference
from arrayloom.isa.program import is_program


def load_model(source: str | Path | onnx.ModelProto, notes: list[str] | None = None) -> onnx.ModelProto:
    """Reads a quantized model as `read_model` does, and checks its quantization.

    Raises
    ------
    ModelError
        As for `read_model`, or the model holds no quantized operator.
    UnsupportedError
        It is quantized in a way that the accelerator cannot compute.
    """
    model = read_model(source, notes)
    check_schemes(model, label_of(source))
    _check_quantized(model, label_of(source))
    check_inference(model)
    return model


def read_model(source: str | Path | onnx.ModelProto, notes: list[str] | None = None) -> onnx.ModelProto:
    """Returns the model with its external data read, local functions inlined, and normalized by `tidy`.

    Parameters
    ----------
    source
        The path of a model, or the model itself.
    notes
        Receives a sentence about each part that was left out.

    Raises
    ------
    ModelError
        The file is missing, is not an ONNX model, is damaged or incomplete.
    """
    model = source if isinstance(source, onnx.ModelProto) else _read(Path(source))
    label = label_of(source)
    if not model.graph.node or not model.graph.output:
        raise ModelError(f"{label} holds no graph: it is empty or not an ONNX model; export the network again")
    _check_text(model.graph, label)
    if model.functions:
        given = list(model.graph.node)
        model = inline_local_functions(model)
        trace_origins(given, model.graph)
    _check_initializers(model, label)
    if not model_inputs(model.graph):
        raise ModelError(f"{label} has no input except its initializers; export it with the image as an input")
    return tidy(model, label, [] if notes is None else notes)


def label_of(source: str | Path | onnx.ModelProto) -> str:
    """Returns the term for a model in messages."""
    return "the model" if isinstance(source, onnx.ModelProto) else f"'{source}'"


def _read(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ModelError(f"'{path}' is not a file; give the path of an ONNX model")
    if path.stat().st_size == 0:
        raise ModelError(f"'{path}' is empty (0 bytes); export or copy the model again")
    if is_program(path):
        raise ModelError(f"'{path}' is a program, not an ONNX model; give the model it was compiled from")
    try:
        return onnx.load(path)
    except DecodeError as error:
        raise ModelError(f"'{path}' is not an ONNX model or is cut short ({error}); export or copy it again") from error
    except (FileNotFoundError, onnx.checker.ValidationError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"the external data of '{path}' cannot be read ({first}); keep the data files next to the model"
        ) from error


def _check_text(graph: onnx.GraphProto, label: str) -> None:
    """Refuses names that are not UTF-8, which onnx returns as bytes for a damaged file."""
    texts: list[str | bytes] = [value.name for value in [*graph.input, *graph.output, *graph.initializer]]
    for node in graph.node:
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output, *(given.name for given in node.attribute)]
    if any(isinstance(text, bytes) for text in texts):
        raise ModelError(f"{label} contains names that are not text: the file is damaged; export or copy it again")


def _check_initializers(model: onnx.ModelProto, label: str) -> None:
    sparse = [part for each in model.graph.sparse_initializer for part in (each.values, each.indices)]
    for tensor in [*model.graph.initializer, *sparse]:
        if uses_external_data(tensor):
            raise ModelError(
                f"initializer '{tensor.name}' of {label} lies in an external file that was not loaded; "
                "give the model's path, or load it with its external data"
            )
        try:
            onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:  # KeyError: the type is unknown
            raise ModelError(
                f"initializer '{tensor.name}' of {label} is damaged ({error}); export or copy the model again"
            ) from error


def _check_quantized(model: onnx.ModelProto, label: str) -> None:
    if not is_quantized(model):
        raise ModelError(
            f"{label} is a float model: none of its {len(model.graph.node)} nodes is a quantized operator; "
            f"quantize it first: {QUANTIZE}"
        )
