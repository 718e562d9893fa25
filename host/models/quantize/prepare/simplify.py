"""Folding by ONNX Runtime's own optimizer, and the facts that the quantizer asks for."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import quant_pre_process
from onnxruntime.quantization.quant_utils import add_infer_metadata

from arrayloom.compiler.frontend.batch import BATCH
from arrayloom.compiler.frontend.model import Model
from arrayloom.host.models.quantize.errors import QuantizeError


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after ONNX Runtime's basic optimizations.

    These fold constants, BatchNormalization behind Conv, constant Mul and Add behind Conv, and drop what does nothing.

    Raises:
        QuantizeError: ONNX Runtime refuses the model.
    """
    with tempfile.TemporaryDirectory(prefix="arrayloom-quantize-") as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        onnx.save(model, given)
        try:
            quant_pre_process(str(given), str(made), skip_symbolic_shape=True, skip_onnx_shape=True)
        except Exception as error:  # ONNX Runtime and onnx raise a dozen unrelated types
            reason = str(error).strip().splitlines()[0]
            raise QuantizeError(f"ONNX Runtime refuses the network: {reason}; mend it, or export it again") from error
        return onnx.load(made)


def annotate(model: Model) -> None:
    """Write down type and shape of every value, as found by running the network, for ONNX Runtime's quantizer."""
    graph = model.proto.graph
    del graph.value_info[:], graph.output[:]
    graph.output.extend(_described(model, name) for name in model.outputs)
    inside = [name for node in model.nodes for name in node.output if name and name not in model.outputs]
    graph.value_info.extend(_described(model, name) for name in inside)
    add_infer_metadata(model.proto)


def _described(model: Model, name: str) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(model.dtypes[name])
    batch = not model.is_constant(name)
    shape = [BATCH if batch and axis == 0 else extent for axis, extent in enumerate(model.shapes[name])]
    return onnx.helper.make_tensor_value_info(name, kind, shape)
