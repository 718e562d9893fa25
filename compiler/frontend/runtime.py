"""Sessions of ONNX Runtime, from which the compiler takes shapes, lookup tables and reference results."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from arrayloom.compiler.errors import SessionError
from arrayloom.compiler.frontend.unsigned_weights import with_unsigned_weights

Array = NDArray[Any]

#: Makes ONNX Runtime convert int8 weights to uint8, whose kernels do not saturate on CPUs with AVX2 but without VNNI.
PRECISION_OPTION = "session.x64quantprecision"

#: Keeps ONNX Runtime from converting int8 QuantizeLinear and DequantizeLinear to uint8, which fails for some models.
INT8_OPTION = "session.qdqisint8allowed"


class Session:
    """A model in ONNX Runtime's CPU provider, on one thread.

    Parameters
    ----------
    model
        The model.
    optimize
        Whether default graph optimizations apply, as in the reference; otherwise every node runs as it is.
    exact
        Whether products must not saturate: int8 weights of uint8 activations are converted to uint8, and ONNX Runtime is
        asked to do the same in operators that it fuses. If it fails with that option, the model runs without it.

    Raises
    ------
    SessionError
        ONNX Runtime refuses the model; the first line of its reason is in the message.

    Attributes
    ----------
    inputs
        Names of the model's inputs.
    outputs, types
        Names of the model's outputs, and their types in ONNX Runtime's notation, such as `tensor(uint8)`.
    exact_kernels
        Whether `session.x64quantprecision` is in force. ONNX Runtime applies it to int8 activations too, for which it has no
        kernel with uint8 weights, and fails on constants that nodes share; such a model runs without it.
    """

    def __init__(self, model: onnx.ModelProto, optimize: bool = True, exact: bool = True) -> None:
        serialized = (with_unsigned_weights(model) if exact else model).SerializeToString()
        with _named_failures("load"):
            self._session, self.exact_kernels = _load_somehow(serialized, optimize, exact)
        self.inputs = [given.name for given in self._session.get_inputs()]
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.types = {output.name: output.type for output in self._session.get_outputs()}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model and returns all outputs by name."""
        with _named_failures("run"):
            return dict(zip(self.outputs, self._session.run(None, dict(inputs)), strict=True))


_FATAL = 4  # severity of log messages
onnxruntime.set_default_logger_severity(_FATAL)  # for its allocator and tools; errors raise exceptions anyway
_FAILURES = (
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NotImplemented,
    failures.RuntimeException,
    ValueError,  # a missing input
    RuntimeError,  # a dtype that numpy does not have, such as int4
)


@contextmanager
def _named_failures(verb: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise SessionError(f"ONNX Runtime cannot {verb} the model: {str(error).strip().splitlines()[0]}") from error


def _load_somehow(serialized: bytes, optimize: bool, exact: bool) -> tuple[onnxruntime.InferenceSession, bool]:
    """Returns a session with the first options that ONNX Runtime accepts, and whether its kernels are exact."""
    with suppress(failures.NotImplemented, failures.Fail):
        if exact:
            return _load(serialized, _options(optimize, PRECISION_OPTION)), True
    try:
        return _load(serialized, _options(optimize)), False
    except failures.Fail:
        return _load(serialized, _options(optimize, INT8_OPTION)), False


def _load(serialized: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(serialized, options, ["CPUExecutionProvider"])


def _options(optimize: bool, *entries: str) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for entry in entries:
        options.add_session_config_entry(entry, "1")
    return options


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses log messages of ONNX Runtime's tools: advice about steps already done, and traces of errors."""
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)


def model_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Returns the inputs that a caller must give, which are those that are not initializers with a default."""
    given = {initializer.name for initializer in graph.initializer}
    return [value for value in graph.input if value.name not in given]


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Returns a copy of the model with additional values as outputs."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    present = {output.name for output in model.graph.output}
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    return extended


def with_only_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Returns a copy of the model with only these values as outputs."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.output[:]
    return with_outputs(bare, names)


def small_model(
    like: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[np.dtype, Sequence[int]]],
    constants: Mapping[str, Array],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """Returns a model of a few nodes under the operator sets of another model.

    Parameters
    ----------
    like
        The model whose operator sets and IR version are used.
    nodes
        The nodes, in topological order.
    inputs
        Dtype and shape of each input.
    constants
        The initializers.
    outputs
        Names of the values to return.
    """
    graph = onnx.helper.make_graph(
        nodes,
        "part",
        [_value_info(name, dtype, shape) for name, (dtype, shape) in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=list(like.opset_import), ir_version=like.ir_version)


def _value_info(name: str, dtype: np.dtype, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))
