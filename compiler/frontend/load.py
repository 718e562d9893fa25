"""Reading a model and refusing at once what no later pass could mend."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data
from onnx.inliner import inline_local_functions

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.runtime import model_inputs
from arrayloom.isa.program import is_program

_BYTES = (onnx.TensorProto.UINT8, onnx.TensorProto.INT8)
QUANTIZED_OPERATORS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QGemm")


def load_model(source: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """A quantized model as `read_model` gives it.

    Raises:
        ModelError: as `read_model`, or it holds no quantized operator.
    """
    model = read_model(source)
    _check_quantized(model, label_of(source))
    return model


def read_model(source: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """The model with its external data read, local functions inlined, names checked.

    Raises:
        ModelError: the file is missing, is no ONNX model, is damaged or incomplete.
    """
    model = source if isinstance(source, onnx.ModelProto) else _read(Path(source))
    label = label_of(source)
    if not model.graph.node or not model.graph.output:
        raise ModelError(f"{label} holds no graph: it is empty or not an ONNX model; export the network again")
    if model.functions:
        model = inline_local_functions(model)
    _check_initializers(model, label)
    _check_order(model, label)
    return model


def label_of(source: str | Path | onnx.ModelProto) -> str:
    """How messages call a model."""
    return "the model" if isinstance(source, onnx.ModelProto) else f"'{source}'"


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the model holds a quantized operator, or takes bytes."""
    operators = {node.op_type for node in model.graph.node}
    quantized = any(operator.startswith("QLinear") or operator.endswith("Integer") for operator in operators)
    integer = any(value.type.tensor_type.elem_type in _BYTES for value in model_inputs(model.graph))
    return quantized or integer or bool(operators.intersection(QUANTIZED_OPERATORS))


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
            f"the external data of '{path}' cannot be read ({first}); keep the data files beside the model"
        ) from error


def _check_initializers(model: onnx.ModelProto, label: str) -> None:
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            raise ModelError(
                f"initializer '{tensor.name}' of {label} lies in an external file that was not loaded; "
                "give the model's path, or load it with its external data"
            )
        try:
            onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"initializer '{tensor.name}' of {label} is damaged ({error}); export or copy the model again"
            ) from error


def _check_order(model: onnx.ModelProto, label: str) -> None:
    graph = model.graph
    known = {"", *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        missing = [name for name in node.input if name not in known]
        if missing:
            raise ModelError(
                f"node '{node.name or node.op_type}' of {label} reads '{missing[0]}', which nothing before it "
                "produces; the graph is damaged or not sorted"
            )
        known.update(node.output)
    for output in graph.output:
        if output.name not in known:
            raise ModelError(f"output '{output.name}' of {label} is produced by no node; the graph is damaged")
    if not model_inputs(graph):
        raise ModelError(f"{label} has no input besides its initializers; export it with the image as an input")


def _check_quantized(model: onnx.ModelProto, label: str) -> None:
    if not is_quantized(model):
        raise ModelError(
            f"{label} is a float model: none of its {len(model.graph.node)} nodes is a quantized operator; "
            "quantize it first: arrayloom quantize MODEL.onnx --calibrate DIR --preprocess NAME -o OUT.onnx"
        )
