"""Values left in float between integer layers: quantized without loss, or rounded if permitted."""

from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import check, equal_values
from networks import Network
from numpy.typing import NDArray
from qdq_network import QdqNetwork

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportedModel, ImportOptions, import_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]

X_SCALE, W_SCALE, Y_SCALE = 2.0**-4, 2.0**-7, 2.0**-3
PERMITTED = ImportOptions(insert_rounding=True)
WITHOUT = ImportOptions(host=HostPolicy.NONE)


class Chain(Network):
    """Layers with int8 weights between values of one dtype, uint8 by default."""

    def __init__(self, dtype: Any = np.uint8) -> None:
        super().__init__(opset=13)
        self.dtype = dtype
        self.zero = 3 if dtype == np.uint8 else -5
        self.real = self.dequantize(self.quantize("x", X_SCALE, self.zero, dtype, "x_bytes"), X_SCALE, self.zero, dtype)

    def conv(self, real: str, output: str | None = None, *, inputs: int = 4, outputs: int = 4) -> str:
        """A convolution that keeps height and width."""
        values = np.random.default_rng(len(self.nodes)).integers(-60, 61, (outputs, inputs, 3, 3)).astype(np.int8)
        weight = self.dequantize(self.constant(values), W_SCALE, 0, np.int8)
        return self.node("Conv", [real, weight], output, pads=[1, 1, 1, 1])

    def pair(self, real: str, scale: float = Y_SCALE, zero_point: int | None = None, output: str = "") -> str:
        """A value quantized and dequantized."""
        zero = self.zero if zero_point is None else zero_point
        return self.dequantize(self.quantize(real, scale, zero, self.dtype, output), scale, zero, self.dtype)

    def finish(self, *outputs: str, channels: int = 4) -> onnx.ModelProto:
        """The model of float input x [N, channels, 8, 8]."""
        return self.model({"x": (np.float32, ["N", channels, 8, 8])}, list(outputs))


def _images(count: int = 8) -> list[dict[str, Array]]:
    rng = np.random.default_rng(11)
    shape = (1, 4, 8, 8)
    return [{"x": (rng.normal(rng.uniform(3, 9), 3, shape)).astype(np.float32)} for _ in range(count)]


def _check(model: onnx.ModelProto, options: ImportOptions = PERMITTED) -> tuple[ImportedModel, float]:
    """The import, checked at every tensor, and its signal-to-error ratio against the original model in decibels."""
    imported = import_model(model, options)
    graph = imported.graph
    reference, original = Reference(graph.integer_model), Session(imported.middle, optimize=False)
    signal = error = 0.0
    for image in _images():
        expected = equal_values(graph, image, reference)
        for name, value in original.run(image).items():
            signal += float(np.sum(np.square(value, dtype=np.float64)))
            error += float(np.sum(np.square(value.astype(np.float64) - expected[name])))
    return imported, 10 * np.log10(signal / error) if error else np.inf


def _rounded(imported: ImportedModel) -> list[str]:
    return [entry.value for entry in imported.graph.inserted_roundings]


def _residual(dtype: Any = np.uint8) -> onnx.ModelProto:
    net = Chain(dtype)
    total = net.node("Relu", [net.node("Add", [net.conv(net.real, "branch"), net.real], "sum")])
    return net.finish(net.pair(total, zero_point=0 if dtype == np.uint8 else -128))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_a_residual_in_float_is_rounded_and_reported(dtype: Any) -> None:
    imported, ratio = _check(_residual(dtype))
    (entry,) = imported.graph.inserted_roundings
    assert (entry.value, entry.node, entry.dtype) == ("branch", "Conv_branch", np.dtype(dtype).name)
    (notice,) = imported.graph.notices
    assert notice.startswith("1 value that the model leaves in float between integer layers is rounded to 8 bits here")
    assert "(--insert-rounding): 'branch'; ranges estimated on 12 made-up pictures" in notice
    assert f"notice: {notice}" in imported.graph.notes
    assert ratio > 30


def test_without_permission_the_layer_is_refused_and_the_option_named() -> None:
    with pytest.raises(UnsupportedError, match="Conv 'Conv_branch': its result 'branch' is not quantized before") as caught:
        import_model(_residual(), WITHOUT)
    assert "or have it rounded to 8 bits there with --insert-rounding" in str(caught.value)


def test_what_cannot_matter_to_the_reader_widens_no_range() -> None:
    net = Chain()
    narrow = net.node("Clip", [net.real, net.constant(np.float32(0)), net.constant(np.float32(0.5))])
    total = net.node("Add", [net.conv(net.real, "branch"), net.pair(narrow, 2.0**-9, 0)])
    imported, _ = _check(net.finish(net.pair(total, 2.0**-7, 0)))
    (entry,) = imported.graph.inserted_roundings
    assert -entry.zero_point * entry.scale >= -0.5 - 1e-6
    assert (255 - entry.zero_point) * entry.scale <= 255 / 128 + 1e-6


def test_a_sum_that_is_quantized_for_another_reader_takes_that_quantization() -> None:
    net = Chain()
    first = net.node("Add", [net.pair(net.conv(net.real), zero_point=128), net.real], "first")
    branch = net.pair(net.conv(net.pair(first, 0.2, 77, "first_bytes")), zero_point=128)
    y = net.pair(net.node("Add", [branch, first]), 0.25, 100)
    imported, ratio = _check(net.finish(y))
    (entry,) = imported.graph.inserted_roundings
    assert (entry.value, np.float32(entry.scale), entry.zero_point) == ("first", np.float32(0.2), 77)
    assert "estimated" not in imported.graph.notices[0]
    assert ratio > 25


def test_a_concatenation_of_one_quantization_loses_nothing() -> None:
    net = Chain()
    parts = [net.pair(net.conv(net.real), zero_point=128), net.pair(net.conv(net.real), zero_point=128)]
    imported, ratio = _check(net.finish(net.pair(net.conv(net.node("Concat", parts, axis=1), inputs=8))), WITHOUT)
    assert ratio == np.inf
    assert not imported.graph.inserted_roundings
    assert not imported.graph.notices


def test_a_concatenation_of_several_quantizations_is_rounded() -> None:
    net = Chain()
    parts = [net.pair(net.conv(net.real), 0.11, 128), net.pair(net.conv(net.real), 0.07, 100)]
    imported, ratio = _check(net.finish(net.pair(net.conv(net.node("Concat", parts, "cat", axis=1), inputs=8))))
    assert _rounded(imported) == ["cat"]
    assert ratio > 30


@pytest.mark.parametrize(("bound", "lossless"), [(6.0, True), (6.03, False), (100.0, True)])
@pytest.mark.parametrize("operator", ["GlobalAveragePool", "ReduceMean"])
def test_a_clip_before_an_average(operator: str, bound: float, lossless: bool) -> None:
    net = Chain()
    clip = net.node("Clip", [net.real, net.constant(np.float32(0)), net.constant(np.float32(bound))], "clip")
    mean = net.node(operator, [clip], **({"axes": [2, 3]} if operator == "ReduceMean" else {}))
    imported, ratio = _check(net.finish(net.pair(mean, 2.0**-5, 0)), WITHOUT if lossless else PERMITTED)
    assert _rounded(imported) == ([] if lossless else ["clip"])
    assert ratio > 40


def test_what_is_quantized_after_movement_is_quantized_before_it() -> None:
    net = Chain()
    conv = net.node("Relu", [net.conv(net.real)])
    bounds = [net.constant(np.array([value])) for value in (1, 7, 2)]
    moved = net.node("Transpose", [net.node("Slice", [conv, *bounds])], perm=[0, 1, 3, 2])
    imported, ratio = _check(net.finish(net.pair(net.conv(net.pair(moved, zero_point=0)))), WITHOUT)
    assert ratio > 60
    assert not imported.graph.inserted_roundings


def test_what_is_quantized_after_max_pooling_is_quantized_before_it() -> None:
    net = Chain()
    relu = net.node("Relu", [net.conv(net.real)])
    pool = net.node("MaxPool", [relu], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    imported, ratio = _check(net.finish(net.pair(net.conv(net.pair(pool, zero_point=0)))), WITHOUT)
    assert ratio > 60
    assert [type(op).__name__ for op in imported.graph.ops][:2] == ["Conv", "MaxPool"]


def test_a_pooled_value_also_read_in_float_takes_the_quantization_after_it() -> None:
    net = Chain()
    pool = net.node("MaxPool", [net.node("Relu", [net.conv(net.real)], "stem")], kernel_shape=[2, 2])
    branch = net.pair(net.conv(net.pair(pool, 0.2, 0)), zero_point=128)
    imported, _ = _check(net.finish(net.pair(net.node("Add", [branch, pool]), 0.25, 100)))
    (entry,) = imported.graph.inserted_roundings
    assert (entry.value, np.float32(entry.scale), entry.zero_point) == ("stem", np.float32(0.2), 0)


def test_a_gated_convolution_without_quantization() -> None:
    net = Chain()
    conv = net.conv(net.real, "conv")
    gated = net.node("Mul", [conv, net.node("Sigmoid", [conv])])
    imported, ratio = _check(net.finish(net.pair(net.conv(net.pair(gated, zero_point=3)), zero_point=128)))
    assert _rounded(imported) == ["conv"]
    assert [type(op).__name__ for op in imported.graph.ops] == ["Conv", "Lookup", "Conv"]
    assert ratio > 30


def test_a_bias_quantized_for_another_input_scale_is_quantized_anew() -> None:
    net = Chain()
    cat = net.node("Concat", [net.pair(net.conv(net.real), 0.11, 128), net.pair(net.conv(net.real), 0.07, 100)], axis=1)
    weight = net.dequantize(net.constant(np.full((4, 8, 1, 1), 9, np.int8)), W_SCALE, 0, np.int8)
    bias = net.node("DequantizeLinear", [net.constant(np.int32([50, -70, 90, 10])), net.constant(np.float32(0.01))])
    imported, ratio = _check(net.finish(net.pair(net.node("Conv", [cat, weight, bias]), zero_point=128)))
    assert any("is quantized to int32 here" in note for note in imported.graph.notes)
    assert ratio > 25


def test_squeeze_and_excitation_in_float() -> None:
    net = Chain()
    mean = net.node("GlobalAveragePool", [net.real], "mean")
    gate = net.node("Sigmoid", [net.conv(net.node("Relu", [net.conv(mean, "squeezed")], "hidden"), "excited")], "gate")
    imported, ratio = _check(net.finish(net.pair(net.node("Mul", [net.real, gate]), X_SCALE)))
    assert _rounded(imported) == ["mean", "hidden", "excited", "gate"]
    assert ratio > 30


def test_a_value_that_also_leaves_the_model() -> None:
    net = Chain()
    total = net.node("Add", [net.conv(net.real, "branch"), net.real])
    imported, ratio = _check(net.finish(net.pair(total, zero_point=128), "branch"))
    assert _rounded(imported) == ["branch"]
    assert [output.name for output in imported.graph.outputs][1:] == ["branch"]
    assert ratio > 30


def test_what_interpolation_makes_is_rounded_and_not_taken_for_its_operand() -> None:
    network = QdqNetwork()
    sizes = network.constant(np.array([1, 1, 2, 2], np.float32))
    resized = network.node("Resize", [network.real, "", sizes], mode="linear", coordinate_transformation_mode="half_pixel")
    model = network.finished(network.node("Conv", [resized, network.weight(4, 3, 3, 3)]), 3, 5, 6)
    with pytest.raises(UnsupportedError, match="Resize"):
        import_model(model)
    imported = import_model(model, PERMITTED)
    assert [entry.value for entry in imported.graph.inserted_roundings] == [resized]
    check(imported)


def test_last_layers_are_rounded_where_the_host_may_not_have_them() -> None:
    net = Chain()
    hidden = net.pair(net.node("Relu", [net.conv(net.real)]), zero_point=0)
    model = net.finish(net.node("Sigmoid", [net.node("Relu", [net.conv(hidden)], "last")], "y"))
    imported, ratio = _check(model)
    assert _rounded(imported) == ["last"]
    assert ratio > 30
    assert imported.graph.host.tail is not None
    assert [node.name for node in imported.graph.host.tail.nodes] == ["Sigmoid_y"]
    assert not import_model(model, ImportOptions(host=HostPolicy.ANY)).graph.inserted_roundings
    with pytest.raises(UnsupportedError, match="have it rounded to 8 bits with --insert-rounding"):
        import_model(model)


def test_roundings_are_the_same_each_time() -> None:
    first, second = (import_model(_residual(), PERMITTED).graph.inserted_roundings for _ in range(2))
    assert first == second


def _resized(net: Chain, real: str) -> str:
    return net.node("Resize", [real, "", net.constant(np.array([1, 1, 2, 2], np.float32))], mode="linear")


def test_a_linear_resize_between_layers_reads_and_gives_rounded_values() -> None:
    net = Chain()
    resized = _resized(net, net.node("Relu", [net.conv(net.real)], "features"))
    model = net.finish(net.pair(net.conv(resized)))
    with pytest.raises(UnsupportedError, match="'features' is not quantized before Resize"):
        import_model(model, WITHOUT)
    imported, ratio = _check(model)
    assert _rounded(imported) == ["features", resized]
    assert ratio > 30


def test_before_a_concat_what_its_quantizer_gives_is_exact() -> None:
    net = Chain()
    first = net.node("Concat", [net.real, net.conv(net.real, "branch")], axis=1)
    second = net.node("Concat", [first, net.node("Relu", [net.conv(net.real)])], axis=1)
    imported, ratio = _check(net.finish(net.pair(second)), WITHOUT)
    assert _rounded(imported) == []
    assert np.isinf(ratio)


def test_a_quantizer_after_a_linear_resize_is_not_one_before_it() -> None:
    net = Chain()
    resized = _resized(net, net.conv(net.real, "branch"))
    assert _rounded(_check(net.finish(net.pair(resized)))[0]) == ["branch"]
