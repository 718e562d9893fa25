"""Preparation of a float network for calibration; `prepare` lists the steps in order."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import quant_pre_process
from onnxruntime.quantization.quant_utils import add_infer_metadata

from arrayloom.compiler.errors import SessionError, UnsupportedError
from arrayloom.compiler.frontend.batch import BATCH
from arrayloom.compiler.frontend.extents import check_extents
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.compiler.frontend.load import label_of, read_model
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.compiler.frontend.origin import trace_origins
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.heads import gather_heads
from arrayloom.compiler.frontend.rewriting.layout import arrange_dimensions
from arrayloom.compiler.frontend.rewriting.parts import with_plain_movements
from arrayloom.compiler.frontend.runtime import Session, model_inputs, quiet
from arrayloom.compiler.frontend.schemes import check_schemes, is_quantized
from arrayloom.compiler.frontend.tidy.edit import copied_node, unused
from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.averages import with_counted_padding
from arrayloom.host.models.quantize.calibration_files import Port
from arrayloom.host.models.quantize.fold import fold_batch_norms, normalize_gemm
from arrayloom.host.models.quantize.modernize import modernize, split_sums
from arrayloom.host.models.quantize.tokens import needs_attention, with_convolutions, with_scaled_scores

_INPUTS = (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.INT8)  # the host casts 8-bit inputs
_WIDE = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True)
class Prepared:
    """A float network ready to be calibrated.

    Attributes
    ----------
    original : onnx.ModelProto
        The network as given, its batch open.
    model : Model
        The prepared network: the shapes of its values are known, and its results equal the original's except for rounding.
    notes : list[str]
        Sentences about the changes.
    """

    original: onnx.ModelProto
    model: Model
    notes: list[str] = field(default_factory=list)

    @property
    def ports(self) -> list[Port]:
        """The inputs of the network."""
        return [Port(value.name, tuple(self.model.shapes[value.name][1:]), self.model.dtypes[value.name])
                for value in self.model.inputs]


def prepare(source: str | Path | onnx.ModelProto) -> Prepared:
    """The float network with constants and normalizations folded, named nodes and known shapes.

    Raises
    ------
    QuantizeError
        The network is quantized already, is not float32, or ONNX Runtime refuses it.
    ModelError
        The file is unusable, or its shapes are not fixed after the batch.
    """
    notes: list[str] = []
    given = load_float(source)
    nodes = [copied_node(node) for node in given.graph.node]
    original = modernize(given)
    check_extents(original)
    _require_running(original)
    simple = simplify(original)
    trace_origins(nodes, simple.graph)
    proto = normalize_gemm(split_sums(simple))
    proto = fold_batch_norms(proto, notes)
    name_nodes(proto)
    model = with_plain_movements(with_counted_padding(Model(proto)))
    if needs_attention(model):  # its dimensions are arranged when the integer network is imported
        return Prepared(original, gather_heads(with_scaled_scores(with_convolutions(model)), real=True), notes)
    # Not earlier: the optimizer moves Transposes to places that suit a CPU.
    return Prepared(original, arrange_dimensions(model, Report(), DEFAULT_OPTIONS), notes)


def load_float(source: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """The float network, not shared with the caller.

    Raises
    ------
    QuantizeError
        It is quantized already, or an input or a weight has a float type other than float32.
    ModelError
        The file is unusable.
    UnsupportedError
        It is quantized already, in a way that the accelerator cannot compute.
    """
    model = read_model(source)
    if isinstance(source, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        model = copy
    label = label_of(source)
    check_schemes(model, label)
    if is_quantized(model):
        raise QuantizeError(f"{label} is quantized already; give the float network it was made from, or compile it as it is")
    for value in model_inputs(model.graph):
        kind = value.type.tensor_type.elem_type
        table = next((node for node in model.graph.node if node.op_type == "Gather" and node.input[1] == value.name), None)
        if kind not in _INPUTS and table is not None:
            raise QuantizeError(f"input '{value.name}' of {label} has dtype {_name(kind)}: Gather '{table.name}' looks up "
                                f"'{table.input[0]}' with it, which an accelerator does not do; look it up before, and give "
                                f"the network the float32 result '{table.output[0]}' as input, for instance with "
                                "onnx.utils.Extractor")
        if kind not in _INPUTS:
            raise QuantizeError(f"input '{value.name}' of {label} has dtype {_name(kind)}; give the network a float32 "
                                "input, or bytes that it casts to float32")
    wide = [tensor for tensor in model.graph.initializer if tensor.data_type in _WIDE]
    if wide:
        raise QuantizeError(f"initializer '{wide[0].name}' of {label} has dtype {_name(wide[0].data_type)}; "
                            "export the network in float32")
    return model


def _require_running(model: onnx.ModelProto) -> None:
    """Raise if ONNX Runtime cannot load the network or run it on zeros; names unknown nodes, if there are any."""
    feed = {}
    for value in model_inputs(model.graph):
        extents = [1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])]
        feed[value.name] = np.zeros(extents, onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    try:
        Session(model).run(feed)
    except SessionError as error:
        if unknown := unknown_nodes(model):
            raise UnsupportedError(unknown) from error
        raise QuantizeError(f"ONNX Runtime refuses the network: {error}; correct it, or export it again") from error


def _name(kind: int) -> str:
    known = kind in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(kind).lower() if known else f"number {kind}"


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after ONNX Runtime's basic optimizations.

    These fold constants, BatchNormalization after Conv, constant Mul and Add after Conv, and remove nodes without effect.

    Raises
    ------
    QuantizeError
        ONNX Runtime refuses the model.
    """
    with tempfile.TemporaryDirectory(prefix="arrayloom-quantize-") as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        onnx.save(model, given)
        try:
            with quiet():
                quant_pre_process(str(given), str(made), skip_symbolic_shape=True, skip_onnx_shape=True)
        except Exception as error:  # ONNX Runtime and onnx raise a dozen unrelated types
            reason = str(error).strip().splitlines()[0]
            raise QuantizeError(f"ONNX Runtime refuses the network: {reason}; correct it, or export it again") from error
        return onnx.load(made)


def annotate(model: Model) -> None:
    """Record type and shape of every value, measured by running the network, for ONNX Runtime's quantizer."""
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


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a unique name, derived from its first output if it has none or shares one.

    The quantizer chooses nodes by name, and reports name them.
    """
    used: set[str] = set()
    for node in model.graph.node:
        if not node.name or node.name in used:
            node.name = unused(f"{node.op_type}_{next(name for name in node.output if name)}", used)
        used.add(node.name)
