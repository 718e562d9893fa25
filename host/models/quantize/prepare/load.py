"""Reading a float network, and refusing what is none."""

from pathlib import Path

import onnx

from arrayloom.compiler.frontend.load import is_quantized, label_of, read_model
from arrayloom.compiler.frontend.runtime import model_inputs
from arrayloom.host.models.quantize.errors import QuantizeError

_WIDE = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)


def load_float(source: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """The network, not shared with the caller.

    Raises:
        QuantizeError: it is quantized already, or an input or a weight is of another float type than float32.
        ModelError: the file is unusable.
    """
    model = read_model(source)
    if isinstance(source, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        model = copy
    label = label_of(source)
    if is_quantized(model):
        raise QuantizeError(f"{label} is quantized already; give the float network it was made from, or compile it as it is")
    for value in model_inputs(model.graph):
        kind = value.type.tensor_type.elem_type
        if kind != onnx.TensorProto.FLOAT:
            raise QuantizeError(f"input '{value.name}' of {label} has dtype {_name(kind)}; give the network a float32 input")
    wide = [tensor for tensor in model.graph.initializer if tensor.data_type in _WIDE]
    if wide:
        raise QuantizeError(f"initializer '{wide[0].name}' of {label} has dtype {_name(wide[0].data_type)}; "
                            "export the network in float32")
    return model


def _name(kind: int) -> str:
    return onnx.TensorProto.DataType.Name(kind).lower()
