"""Refusals and their messages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network

from arrayloom.compiler.errors import CompileError, ModelError, UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.isa.errors import ArrayloomError

BYTES = (np.uint8, ["N", 4, 6, 6])
WITHOUT_HOST = ImportOptions(HostPolicy.NONE)


def _refusal(network: Network, inputs: dict[str, Any] | None = None, outputs: tuple[str, ...] = ("y",)) -> str:
    with pytest.raises(UnsupportedError) as caught:
        import_model(network.model(inputs or {"x": BYTES}, list(outputs)), WITHOUT_HOST)
    assert isinstance(caught.value, ArrayloomError)
    return str(caught.value)


def _parameters(net: Network, scale: float = 0.5, zero_point: int = 3, dtype: Any = np.uint8) -> list[str]:
    return [net.constant(np.float32(scale)), net.constant(np.array(zero_point, dtype))]


def _pool(net: Network | None = None) -> Network:
    net = net or Network()
    net.node("MaxPool", ["x"], "y", kernel_shape=[2, 2])
    return net


# ---- files


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.onnx' is not a file; give the path of an ONNX model"):
        import_model(tmp_path / "nothing.onnx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"PK\x03\x04 this is a zip archive and no model at all", "is not an ONNX model or is cut short"),
        (b"\x08\x07", "holds no graph"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        import_model(path)


def test_a_model_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    whole = _pool().model({"x": BYTES}, ["y"]).SerializeToString()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(ModelError, match="is not an ONNX model or is cut short"):
        import_model(path)


def test_missing_external_data(tmp_path: Path) -> None:
    net = Network()
    net.node("Slice", ["x", *(net.constant(np.array([value])) for value in (0, 1, 2))], "y")
    model = net.model({"x": BYTES}, ["y"])
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"external data of .* cannot be read .*; keep the data files next to"):
        import_model(tmp_path / "m.onnx")


def test_external_data_that_was_not_loaded(tmp_path: Path) -> None:
    net = Network()
    net.node("Slice", ["x", *(net.constant(np.array([value])) for value in (0, 1, 2))], "y")
    model = net.model({"x": BYTES}, ["y"])
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    with pytest.raises(ModelError, match="lies in an external file that was not loaded"):
        import_model(onnx.load(tmp_path / "m.onnx", load_external_data=False))


def test_damaged_initializer() -> None:
    model = _pool().model({"x": BYTES}, ["y"])
    model.graph.initializer.append(onnx.TensorProto(name="w", data_type=1, dims=[4], raw_data=b"\0" * 7))
    with pytest.raises(ModelError, match="initializer 'w' of the model is damaged"):
        import_model(model)


# ---- whole model


def test_float_model() -> None:
    net = Network()
    net.node("Relu", ["x"], "y")
    with pytest.raises(ModelError, match=r"is a float model: none of its 1 nodes .*; quantize it first"):
        import_model(net.model({"x": (np.float32, ["N", 4, 6, 6])}, ["y"]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (["N", 4, "height", 6], r"dimension 2 of input 'x' is 'height': only the batch may be open; fix it"),
        (["N", 4, 0, 6], r"dimension 2 of input 'x' is 0"),
        ([], r"input 'x' has rank 0; use \[N, C, H, W\]"),
        (["N", 4, 3, 6, 6], r"input 'x' has rank 5"),
    ],
)
def test_input_shapes(shape: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        import_model(_pool().model({"x": (np.uint8, shape)}, ["y"]))


def test_inputs_that_disagree_on_the_batch() -> None:
    net = _pool()
    net.node("Identity", ["z"], "same")
    model = net.model({"x": (np.uint8, [2, 4, 6, 6]), "z": (np.uint8, ["N", 4, 6, 6])}, ["y", "same"])
    with pytest.raises(ModelError, match=r"disagree on the batch, their first dimension \('x': 2, 'z': open\)"):
        import_model(model)


def test_a_reshape_that_mixes_images() -> None:
    net = Network()
    net.node("Reshape", ["x", net.constant(np.array([1, -1]))], "y")
    with pytest.raises(ModelError, match=r"Reshape 'Reshape_y' has a result of shape \(1, 288\) at batch 2: the batch must"):
        import_model(net.model({"x": BYTES}, ["y"]))


def test_a_value_that_nothing_gives() -> None:
    model = _pool().model({"x": BYTES}, ["y"])
    model.graph.node[0].input[0] = "later"
    with pytest.raises(ModelError, match="node 'MaxPool_y' of the model reads 'later', which no node, input or"):
        import_model(model)


def test_what_onnxruntime_rejects_is_passed_on() -> None:
    net = Network()
    net.node("Concat", ["x", net.constant(np.ones((1, 4, 5, 5), np.uint8))], "y", axis=1)
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot .*Concat_y.*; export the model again"):
        import_model(net.model({"x": BYTES}, ["y"]))


def test_windows_larger_than_the_image() -> None:
    net = Network()
    net.node("MaxPool", ["x"], "y", kernel_shape=[9, 9])
    with pytest.raises(ModelError, match=r"MaxPool 'MaxPool_y' has a negative extent, shape \[1, 4, -2, -2\]; fix it"):
        import_model(net.model({"x": BYTES}, ["y"]))


@pytest.mark.parametrize(("operator", "extents"), [("ConstantOfShape", [2**20, 2**20]), ("Expand", [2**30, 1, 1, 1]),
                                                   ("Tile", [1, 2**12, 2**12, 2**12])])
def test_values_that_no_machine_holds(operator: str, extents: list[int]) -> None:
    net = _pool()
    net.node(operator, ["y"] * (operator != "ConstantOfShape") + [net.constant(np.array(extents))], "z")
    with pytest.raises(ModelError, match=rf"{operator} '{operator}_z' has shape .*: the values of one image then take"):
        import_model(net.model({"x": BYTES}, ["y", "z"]))


# ---- operators


def test_all_offending_nodes_stand_in_one_report() -> None:
    net = Network(opset=17)
    net.node("Sign", ["x"], "a")
    net.node("Resize", ["x", "", net.constant(np.array([1, 1, 3, 3], np.float32))], "b", mode="linear")
    net.node("CumSum", [net.dequantize("x", 0.5, 3), net.constant(np.array(2))], "sum")
    net.quantize("sum", 0.5, 3, output="c")
    with pytest.raises(UnsupportedError) as caught:
        import_model(net.model({"x": BYTES}, ["a", "b", "c"]), WITHOUT_HOST)
    assert [entry.node for entry in caught.value.nodes] == ["Sign_a", "Resize_b", "CumSum_sum"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 nodes of the model cannot be compiled:"
    assert lines[1].startswith("  Sign 'Sign_a': this operator is not supported; replace it")
    assert lines[2].startswith("  Resize 'Resize_b' [mode = linear]: it interpolates between integer pixels")
    assert lines[3].startswith(
        "  CumSum 'CumSum_sum': this operator is not supported; use ReduceMean, ReduceSum, ReduceMax or ReduceMin over "
        "channels, height and width; or leave out --no-host"
    )


def test_operators_after_refused_ones_are_listed_too() -> None:
    """Refused nodes in sequence in the middle of a network, each with its remedy."""
    net = Network(opset=17)
    constants = [net.constant(np.ones(6, np.float32)) for _ in range(2)]
    normal = net.node("LayerNormalization", [net.dequantize("x", 0.5, 3), *constants], "normal")
    first = net.quantize(normal, 0.5, 3)
    pooled = net.node("MaxPool", [first], kernel_shape=[2, 2])
    soft = net.quantize(net.node("Softmax", [net.dequantize(pooled, 0.5, 3)], "soft"), 1 / 256, 0)
    larger = net.node("Resize", [soft, "", net.constant(np.array([1, 1, 3, 3], np.float32))], "larger", mode="linear")
    net.node("Sign", [larger], "y")
    with pytest.raises(UnsupportedError) as caught:
        import_model(net.model({"x": BYTES}, ["y"]), WITHOUT_HOST)
    found = {entry.node: entry.remedy for entry in caught.value.nodes}
    assert list(found) == ["LayerNormalization_normal", "Softmax_soft", "Resize_larger", "Sign_y"]
    assert found["LayerNormalization_normal"].startswith("quantize its operand and its result, and compile for")
    assert found["Softmax_soft"].startswith("leave out --no-host: the host then computes it and what follows")
    assert found["Resize_larger"].startswith("resize by a power of two")
    assert found["Sign_y"].startswith("replace it by supported operators")


def test_operators_that_onnxruntime_does_not_know() -> None:
    net = Network()
    net.node("Warp", ["x"], "w", domain="own")
    net.node("MaxPool", ["w"], "y", kernel_shape=[2, 2])
    model = net.model({"x": BYTES}, ["y"])
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    with pytest.raises(UnsupportedError, match=r"own\.Warp 'Warp_w': this operator is not supported"):
        import_model(model)


def test_signed_activations_with_unsigned_weights() -> None:
    net = Network()
    weight = net.constant(np.ones((4, 4, 1, 1), np.uint8))
    signed = _parameters(net, dtype=np.int8)
    net.node("QLinearConv", ["x", *signed, weight, *_parameters(net), *signed], "y")
    message = _refusal(net, {"x": (np.int8, ["N", 4, 6, 6])})
    assert "ONNX Runtime has no int8 activations with uint8 weights; quantize the weights to int8" in message


Build = Callable[[Network], None]




def _empty_windows(net: Network) -> None:
    net.node("MaxPool", ["x"], "y", kernel_shape=[2, 2], dilations=[7, 7], pads=[1, 1, 1, 1])


def _channels_last(net: Network) -> None:
    attributes = {"kernel_shape": [2, 2], "channels_last": 1}
    net.node("QLinearAveragePool", ["x", *_parameters(net), *_parameters(net)], "y", **attributes)


def _per_channel_activation(net: Network) -> None:
    many = [net.constant(np.float32([1, 2, 3, 4])), net.constant(np.zeros(4, np.uint8))]
    real = net.node("DequantizeLinear", ["x", *many], axis=1)
    conv = net.node("Conv", [real, _weight(net, 2, 4, 1, 1)], "conv")
    net.quantize(conv, 0.5, 3, output="y")


def _zero_scale(net: Network) -> None:
    net.quantize(net.node("Relu", [net.dequantize("x", 0.0, 3)]), 0.5, 3, output="y")


def _flat_then_channels(net: Network) -> None:
    flat = net.dequantize(net.node("Flatten", ["x"]), 0.5, 3)
    net.quantize(net.node("Mul", [flat, net.constant(np.ones(144, np.float32))]), 0.5, 3, output="y")


def _positions(net: Network) -> None:
    mask = net.constant(np.ones((1, 1, 6, 6), np.float32))
    net.quantize(net.node("Mul", [net.dequantize("x", 0.5, 3), mask]), 0.5, 3, output="y")


def _channels_and_movement(net: Network) -> None:
    smooth = net.node("Sigmoid", [net.dequantize("x", 0.5, 3)])
    chosen = net.node("Gather", [smooth, net.constant(np.array([3, 2, 1, 0]))], axis=1)
    scaled = net.node("Mul", [chosen, net.constant(np.ones((4, 1, 1), np.float32))])
    net.quantize(scaled, 0.5, 3, output="y")


def _three_sources(net: Network) -> None:
    real = [net.dequantize(net.node("MaxPool", ["x"], kernel_shape=[1, 1]), 0.5, 3) for _ in range(3)]
    net.quantize(net.node("PRelu", [net.node("Pow", real[:2]), real[2]]), 0.5, 3, output="y")


def _shifted_branch(net: Network) -> None:
    real = net.dequantize("x", 0.5, 3)
    inputs = [net.constant(np.array([value])) for value in (0, 1, 2)]
    net.quantize(net.node("Pow", [real, net.node("Slice", [net.node("Sigmoid", [real]), *inputs])]), 0.5, 3, output="y")


def _two_paddings(net: Network) -> None:
    amounts = [net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])) for _ in range(2)]
    inner = net.node("Pad", [net.dequantize("x", 0.5, 3), amounts[0], net.constant(np.float32(0.5))])
    net.quantize(net.node("Pad", [inner, amounts[1]]), 0.5, 3, output="y")


def _padding_before_normalization(net: Network) -> None:
    amounts = net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    smooth = net.node("Sigmoid", [net.dequantize("x", 0.5, 3)])
    padded = net.node("Pad", [smooth, amounts, net.constant(np.float32(0))])
    constants = [net.constant(np.arange(1, 5, dtype=np.float32)) for _ in range(4)]
    net.quantize(net.node("BatchNormalization", [padded, *constants]), 0.05, 3, output="y")


def _bounds_reversed(net: Network) -> None:
    net.node("Clip", ["x", net.constant(np.uint8(9)), net.constant(np.uint8(3))], "y")


def _float_tail(net: Network) -> None:
    net.node("Exp", [net.dequantize("x", 0.5, 3)], "y")


REFUSED: list[tuple[Build, str]] = [
    (_empty_windows, "[pads = [1, 1, 1, 1]]: a window lies wholly in the padding"),
    (_channels_last, "[channels_last = 1]: its layout has the channels last"),
    (_per_channel_activation, "Conv 'Conv_conv' adds up channels that are quantized with different scales"),
    (_zero_scale, "= 0.0]: a scale is zero, negative or not finite; calibrate again"),
    (_flat_then_channels, "functions for 144 channels are applied"),
    (_positions, "differs between positions; use one value, or one for each channel"),
    (_channels_and_movement, "functions that differ between channels are applied to channels that were moved before"),
    (_three_sources, "its float operand combines several quantized values ('maxpool_0_0', 'maxpool_2_2', 'maxpool_4_4')"),
    (_shifted_branch, "combines elements of different positions"),
    (_two_paddings, "it pads with several values ([3, 4] once quantized)"),
    (_padding_before_normalization, "padding becomes a different value in each channel"),
    (_bounds_reversed, "[9 > 3]: its lower bound is above its upper one"),
    (_float_tail, "it computes in float after the last quantized operator"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=[build.__name__ for build, _ in REFUSED])
def test_refused(build: Build, message: str) -> None:
    net = Network()
    build(net)
    text = _refusal(net)
    assert message in text
    assert text.startswith("1 node of the model cannot be compiled:\n  ")


# ---- QDQ


def _weight(net: Network, *shape: int, axis: int | None = None, dtype: Any = np.int8) -> str:
    count = () if axis is None else (shape[axis],)
    parameters = [net.constant(np.ones(count, np.float32)), net.constant(np.zeros(count, dtype))]
    attributes = {} if axis is None else {"axis": axis}
    return net.node("DequantizeLinear", [net.constant(np.ones(shape, dtype)), *parameters], **attributes)


def _conv_to(net: Network, inputs: list[str], **attributes: Any) -> None:
    net.quantize(net.node("Conv", inputs, "conv", **attributes), 0.5, 3, output="y")


def _float_weight(net: Network) -> None:
    _conv_to(net, [net.dequantize("x", 0.5, 3), net.constant(np.ones((2, 4, 1, 1), np.float32), "weight")])


def _wrong_axis(net: Network) -> None:
    _conv_to(net, [net.dequantize("x", 0.5, 3), _weight(net, 2, 4, 1, 1, axis=1)])


def _bias_scale(net: Network) -> None:
    bias = net.node("DequantizeLinear", [net.constant(np.ones(2, np.int32)), net.constant(np.float32(0.7))])
    _conv_to(net, [net.dequantize("x", 0.5, 3), _weight(net, 2, 4, 1, 1), bias])


def _no_pair(net: Network) -> None:
    real = net.node("Sigmoid", [net.dequantize("x", 0.5, 3)], "gate")
    _conv_to(net, [real, _weight(net, 2, 4, 1, 1)])


def _activation_in_float(net: Network) -> None:
    conv = net.node("Conv", [net.dequantize("x", 0.5, 3), _weight(net, 2, 4, 1, 1)], "conv")
    net.quantize(net.node("Sigmoid", [conv], "gate"), 0.5, 3, output="y")


def _unquantized_output(net: Network) -> None:
    net.node("Conv", [net.dequantize("x", 0.5, 3), _weight(net, 2, 4, 1, 1)], "y")


def _average_dilated(net: Network) -> None:
    net.opset = 19
    real = net.node("AveragePool", [net.dequantize("x", 0.5, 3)], kernel_shape=[2, 2], dilations=[2, 2])
    net.quantize(real, 0.5, 3, output="y")


def _pad_between_steps(net: Network) -> None:
    amounts, value = net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1])), net.constant(np.float32(0.3))
    _conv_to(net, [net.node("Pad", [net.dequantize("x", 0.5, 3), amounts, value]), _weight(net, 2, 4, 1, 1)])


def _two_activations(net: Network) -> None:
    flat = net.node("Flatten", [net.dequantize("x", 0.5, 3)])
    turned = net.node("Reshape", [flat, net.constant(np.array([0, 144, 1]))])
    net.quantize(
        net.node("MatMul", [net.node("Unsqueeze", [flat, net.constant(np.array([1]))]), turned]), 0.5, 3, output="y"
    )


def _old_clip(net: Network) -> None:
    net.opset = 11
    conv = net.node("Conv", [net.dequantize("x", 0.5, 3), _weight(net, 2, 4, 1, 1)])
    net.quantize(net.node("Relu", [conv]), 0.5, 3, output="y")


REFUSED_QDQ: list[tuple[Build, str]] = [
    (_float_weight, "Conv 'Conv_conv': its weights 'weight' are float; quantize the weights too"),
    (_wrong_axis, "[axis = 1]: its weights are quantized along axis 1; quantize them per tensor or along axis 0"),
    (_bias_scale, "its bias has scale 0.699999988, x_scale * w_scale is 0.5; quantize the bias with"),
    (_no_pair, "its input 'gate' is computed in float by Sigmoid 'Sigmoid_gate'; put QuantizeLinear"),
    (_activation_in_float, "its result 'conv' is not quantized before Sigmoid 'Sigmoid_gate'; put QuantizeLinear"),
    (_unquantized_output, "it computes in float after the last quantized operator, so the host would have to compute it"),
    (_average_dilated, "[dilations = [2, 2]]: ONNX Runtime has no quantized average pooling with dilation"),
    (_pad_between_steps, "the padding value lies between two steps of the scale 0.5; pad with 0.5"),
    (_two_activations, "is not constant; make it a constant, compute this product of two activations after"),
    (_old_clip, "operator set 11 has no Clip of integers"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED_QDQ, ids=[build.__name__ for build, _ in REFUSED_QDQ])
def test_refused_in_qdq_form(build: Build, message: str) -> None:
    net = Network()
    build(net)
    assert message in _refusal(net)


def test_preprocessing_inside_the_model() -> None:
    net = Network()
    net.quantize(net.node("Div", ["image", net.constant(np.float32(255))]), 0.5, 3, output="x")
    message = _refusal(_pool(net), {"image": (np.float32, ["N", 4, 6, 6])})
    assert "it computes in float before the first quantized operator" in message


def test_an_input_quantized_in_two_ways() -> None:
    net = Network()
    net.quantize("image", 0.5, 3, output="x")
    net.node("MaxPool", [net.quantize("image", 0.25, 3, output="twice")], "z", kernel_shape=[2, 2])
    message = _refusal(_pool(net), {"image": (np.float32, ["N", 4, 6, 6])}, ("y", "z"))
    assert "QuantizeLinear 'QuantizeLinear_twice': the input 'image' is quantized in two ways" in message


def test_every_refusal_is_an_error_of_the_compiler() -> None:
    assert issubclass(ModelError, CompileError)
    assert issubclass(UnsupportedError, CompileError)
    assert issubclass(CompileError, ArrayloomError)
