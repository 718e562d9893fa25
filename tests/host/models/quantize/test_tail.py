"""Networks whose end has no integer form: the quantizer stops before it, and the host computes it in float."""

from typing import Any

import numpy as np
import onnx
import pytest
from float_networks import images
from onnx import TensorProto, helper, numpy_helper

from arrayloom import verify
from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.quantize import Calibration, quantize

CALIBRATION = Calibration.from_arrays(images(6))
ANY = ImportOptions(HostPolicy.ANY)
Constants = dict[str, np.ndarray]
Outputs = dict[str, int]


def _network(end: list[onnx.NodeProto], outputs: Outputs, constants: Constants) -> onnx.ModelProto:
    """``data`` through two convolutions to ``rows`` [N, H * W, 6], then ``end``."""
    rng = np.random.default_rng(4)
    channels, side = images(1).shape[1:3]
    nodes = [
        helper.make_node("Conv", ["data", "w1"], ["deep"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["deep"], ["active"], "relu"),
        helper.make_node("Conv", ["active", "w2"], ["maps"], "conv2"),
        helper.make_node("Reshape", ["maps", "shape"], ["flat"], "flatten"),
        helper.make_node("Transpose", ["flat"], ["rows"], "turn", perm=[0, 2, 1]),
    ]
    more = {"w1": rng.normal(0, 0.3, (8, channels, 3, 3)).astype(np.float32), "shape": np.array([0, 6, -1]),
            "w2": rng.normal(0, 0.3, (6, 8, 1, 1)).astype(np.float32)}
    graph = helper.make_graph(
        [*nodes, *end], "tail", [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", channels, side, side])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (more | constants).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _largest() -> onnx.ModelProto:
    end = [helper.make_node("ReduceMax", ["rows"], ["best"], "best", axes=[2], keepdims=0),
           helper.make_node("TopK", ["best", "count"], ["values", "places"], "topk")]
    return _network(end, {"values": TensorProto.FLOAT, "places": TensorProto.INT64}, {"count": np.array([5])})


def _distribution() -> onnx.ModelProto:
    """A product after a softmax, as in detector heads that compute the mean of a distribution."""
    end = [helper.make_node("Softmax", ["rows"], ["shares"], "softmax", axis=2),
           helper.make_node("MatMul", ["shares", "steps"], ["means"], "mean"),
           helper.make_node("Exp", ["means"], ["sizes"], "exp")]
    return _network(end, {"sizes": TensorProto.FLOAT}, {"steps": np.arange(12, dtype=np.float32).reshape(6, 2) / 8})


def _suppressed() -> onnx.ModelProto:
    end = [helper.make_node("Split", ["rows", "parts"], ["boxes", "scores"], "split", axis=2),
           helper.make_node("Transpose", ["scores"], ["turned"], "scores_turned", perm=[0, 2, 1]),
           helper.make_node("NonMaxSuppression", ["boxes", "turned", "most"], ["kept"], "nms")]
    return _network(end, {"kept": TensorProto.INT64}, {"parts": np.array([4, 2]), "most": np.array([5])})


@pytest.mark.parametrize(("network", "floats"), [
    (_largest(), ["TopK"]), (_distribution(), ["MatMul", "Exp"]), (_suppressed(), ["NonMaxSuppression"])])
def test_the_end_stays_float_and_runs_on_the_host(network: onnx.ModelProto, floats: list[str]) -> None:
    quantized = quantize(network, CALIBRATION, options=ANY)
    operators = [node.op_type for node in quantized.model.graph.node]
    assert operators[:3] == ["QuantizeLinear", "QLinearConv", "QLinearConv"]
    assert operators[-len(floats):] == floats
    assert any(note.startswith("the end of the network stays float, for the host: ") for note in quantized.notes)
    verdict = verify(quantized.model, {"data": images(1, seed=9)}, "tiny", "emulator", options=ANY)
    assert verdict.equal
    assert verdict.bytes_compared > 0
    assert verdict.host_bytes_compared > 0
    assert set(floats) <= {node.op for node in verdict.host.parts["tail"].nodes}


def test_what_the_host_computes_is_near_the_float_network() -> None:
    given: dict[str, Any] = {"data": images(4, seed=9)}
    wanted = Session(_distribution()).run(given)["sizes"]
    got = Session(quantize(_distribution(), CALIBRATION, options=ANY).model).run(given)["sizes"]
    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()


def test_a_large_tail_needs_permission() -> None:
    with pytest.raises(UnsupportedError, match=r"--host-tail \(\d+\.\d % of the multiply-accumulates\)"):
        quantize(_distribution(), CALIBRATION)
    with pytest.raises(UnsupportedError, match="TopK 'topk'"):
        quantize(_largest(), CALIBRATION, options=ImportOptions(HostPolicy.NONE))
    assert quantize(_largest(), CALIBRATION).model.graph.node[-1].op_type == "TopK"
