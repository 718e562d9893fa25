"""The golden reference: ONNX Runtime on the CPU, one thread, default graph optimizations."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.runtime import Session, with_outputs

Array = NDArray[Any]

_BYTES = (np.dtype(np.uint8), np.dtype(np.int8))


class Reference:
    """One model in ONNX Runtime.

    Args
    ----
    model
        The model; for bit-exact comparison the `integer_model` of an imported graph.

    Raises
    ------
    SessionError
        ONNX Runtime refuses the model, or an input to it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._session = Session(model)
        self._extended: Session | None = None

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the model's inputs."""
        return self._session.inputs

    @property
    def exact_kernels(self) -> bool:
        """Whether ONNX Runtime is configured to avoid saturating kernels, which is impossible for int8 activations."""
        return self._session.exact_kernels

    def saturation_note(self) -> str | None:
        """A note if this model runs without the exact kernels on a machine whose other kernels saturate, else None."""
        if self.exact_kernels or not saturates("uint8", exact=False):
            return None
        return (
            "ONNX Runtime runs this model only without its kernels that are exact on every CPU; products saturate on "
            "this CPU (AVX2 without VNNI): differences from it are not errors of Arrayloom; compare on a CPU with VNNI"
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs by name; arrays with the batch as their first dimension."""
        return self._session.run(inputs)

    def run_all(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs and every uint8 or int8 value inside it.

        Only integers are exposed: float islands are then optimized as usual, so the values are
        those of `run`.
        """
        if self._extended is None:
            self._extended = Session(with_outputs(self._model, _integer_values(self._model, inputs)))
        return self._extended.run(inputs)


def _integer_values(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> list[str]:
    """Names of the 8-bit values that nodes produce."""
    names = [name for node in model.graph.node for name in node.output if name]
    values = Session(with_outputs(model, names), optimize=False).run(inputs)
    return [name for name in names if values[name].dtype in _BYTES]


@cache
def saturates(activations: str = "uint8", exact: bool = True) -> bool:
    """Whether ONNX Runtime's int8 products saturate on this machine: it adds pairs of products in 16 bits.

    This is the case on x86-64 CPUs with AVX2 but without VNNI. For uint8 activations the session option that `Reference`
    sets avoids it.

    Args
    ----
    activations
        Dtype of the activations, "uint8" or "int8".
    exact
        Whether that option is set.
    """
    depth = 64
    x = np.full((1, depth), np.iinfo(activations).max, activations)
    w = np.full((depth, 16), 127, np.int8)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("QLinearMatMul", ["x", "one", "xz", "w", "one", "wz", "scale", "xz"], ["y"])],
        "saturation",
        [onnx.helper.make_tensor_value_info("x", onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [onnx.ValueInfoProto(name="y")],
        [
            onnx.numpy_helper.from_array(w, "w"),
            onnx.numpy_helper.from_array(np.array(1, np.float32), "one"),
            onnx.numpy_helper.from_array(np.zeros((), x.dtype), "xz"),
            onnx.numpy_helper.from_array(np.zeros((), np.int8), "wz"),
            onnx.numpy_helper.from_array(np.array(depth * 127 * 4, np.float32), "scale"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    expected = np.rint(np.float32(depth * 127) * np.float32(np.iinfo(activations).max) / np.float32(depth * 127 * 4))
    return bool(np.any(Session(model, exact=exact).run({"x": x})["y"] != expected))


def saturation_notice() -> str | None:
    """A note for the user if ONNX Runtime may compute wrong results on this machine, else None."""
    at_fault = [dtype for dtype in ("uint8", "int8") if saturates(dtype)]
    if not at_fault:
        return None
    return (
        f"ONNX Runtime's products of {' and '.join(at_fault)} activations saturate on this CPU (AVX2 without VNNI): "
        "differences from it are not errors of Arrayloom; compare on a CPU with VNNI"
    )
