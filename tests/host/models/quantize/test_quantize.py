"""Quantization of small float networks: entirely on the accelerator, bit-exact, and close to the float original."""

import weakref
from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx
import pytest
from exact import assert_exact
from float_networks import NETWORKS, images

from arrayloom.compiler.frontend.runtime import Session, model_inputs
from arrayloom.host.models.quantize import (
    METHODS,
    Calibration,
    Quantized,
    QuantizeError,
    compare_classes,
    is_classifier,
    quantize,
)

CALIBRATION = Calibration.from_arrays(images(6))

SQNR_DB = 20.0
"""Every value of these shallow networks: 8-bit rounding of a normal distribution gives about 40 dB."""


def _operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@cache
def _quantized(name: str) -> Quantized:
    return quantize(NETWORKS[name](), CALIBRATION)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_run_on_the_accelerator(name: str) -> None:
    quantized = _quantized(name)
    assert_exact(quantized.model, images(2, seed=11))
    layers = quantized.layers
    assert len(layers) >= 2
    assert layers == sorted(layers, key=lambda layer: layer.sqnr_db)
    assert layers[0].sqnr_db > SQNR_DB, layers[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_preparation_changes_nothing_but_roundings(name: str) -> None:
    network = NETWORKS[name]()
    prepared = _quantized(name).prepared
    given = {"data": images(3, seed=5)}
    before, after = Session(network).run(given), Session(prepared.model.proto).run(given)
    for output, values in before.items():
        np.testing.assert_allclose(after[output], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "left"), [
    ("folded_normalization", 0), ("normalization_before_conv", 0), ("upsampling", 0),
    ("normalization_before_relu", 1), ("normalization_before_padded_conv", 1)])
def test_normalization_is_folded_where_it_can_be(name: str, left: int) -> None:
    quantized = _quantized(name)
    assert _operators(quantized.model).count("BatchNormalization") == left
    assert any("BatchNormalization" in note for note in quantized.notes) == bool(left)


def test_nothing_float_is_left_between_integers() -> None:
    allowed = {"QuantizeLinear", "DequantizeLinear", "Softmax"}
    for name in ("residual", "movements", "pools", "sum_of_three", "factors_of_gemm", "grouped"):
        operators = _operators(_quantized(name).model)
        floats = [op for op in operators if not op.startswith("QLinear")
                  and op not in ("QGemm", "MaxPool", "Flatten", "Slice", "Pad", "Clip")]
        assert set(floats) <= allowed, (name, floats)
        assert floats.count("QuantizeLinear") == 1, name


def test_a_sum_and_its_relu_are_two_values() -> None:
    """ONNX Runtime's own QOperator format takes one for the other."""
    quantized = _quantized("residual_before_activation")
    given = {"data": images(4, seed=8)}
    wanted = Session(NETWORKS["residual_before_activation"]()).run(given)
    got = Session(quantized.model).run(given)
    name = quantized.prepared.model.outputs[0]
    assert np.abs(wanted[name] - got[name]).max() < 0.1 * np.abs(wanted[name]).max()


def test_the_bias_of_pruned_channels_is_kept() -> None:
    quantized = _quantized("pruned_channels")
    got = next(iter(Session(quantized.model).run({"data": images(1)}).values()))
    scale = quantized.scales[quantized.prepared.model.outputs[0]][0]
    for channel, bias in ((1, 0.37), (2, 0.0), (3, 0.73)):
        assert np.abs(got[0, channel] - bias).max() <= 0.51 * scale


def test_form() -> None:
    network = NETWORKS["residual"]()
    onnx.helper.set_model_props(network, {"arrayloom.notice": "random weights"})
    quantized = quantize(network, CALIBRATION)
    assert (quantized.notices, quantized.notes[-1]) == (["random weights"], "notice: random weights")
    model = quantized.model
    names = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in (node for node in model.graph.node if node.op_type == "QLinearConv"):
        assert names[node.input[3]].data_type == onnx.TensorProto.INT8
        assert list(names[node.input[4]].dims) == [names[node.input[3]].dims[0]]
        assert names[node.input[7]].data_type == onnx.TensorProto.UINT8
    assert model_inputs(model.graph)[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("arrayloom.notice", "random weights")]
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(model))


def test_a_fixed_batch_is_opened() -> None:
    network = NETWORKS["pools"]()
    network.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    quantized = quantize(network, CALIBRATION)
    outputs = Session(quantized.model).run({"data": images(3)})
    assert next(iter(outputs.values())).shape == (3, 10)


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str) -> None:
    quantized = quantize(NETWORKS["residual"](), CALIBRATION, method)
    assert quantized.layers[0].sqnr_db > 10
    assert compare_classes(quantized, CALIBRATION, None).same_class >= 5


def test_ranges_differ_between_methods() -> None:
    scales = [quantize(NETWORKS["residual"](), CALIBRATION, method).scales["data"][0] for method in METHODS]
    assert scales[1] < scales[0]
    assert len(set(scales)) == len(METHODS)


def test_an_unknown_method() -> None:
    with pytest.raises(QuantizeError, match="unknown method 'mean'; known are minmax, percentile, entropy"):
        quantize(NETWORKS["residual"](), CALIBRATION, "mean")


def test_progress_counts_every_image() -> None:
    seen: list[tuple[str, int, int]] = []
    quantize(NETWORKS["residual"](), CALIBRATION, progress=lambda *step: seen.append(step))
    assert [done for title, done, _ in seen if title == "calibrating"] == list(range(1, len(CALIBRATION) + 1))
    assert {count for _, _, count in seen} == {len(CALIBRATION)}


def test_agreement_and_accuracy() -> None:
    quantized = _quantized("residual")
    assert is_classifier(quantized)
    assert not is_classifier(_quantized("several_outputs"))
    scores = Session(NETWORKS["residual"]()).run({"data": images(6)})
    labels = next(iter(scores.values())).argmax(axis=1).tolist()
    found = compare_classes(quantized, CALIBRATION, labels)
    assert (found.images, found.correct_before) == (6, 6)
    assert found.correct_after == found.same_class
    wrong = [(label + 1) % 10 for label in labels]
    assert compare_classes(quantized, CALIBRATION, wrong).correct_before == 0


@pytest.mark.parametrize("method", METHODS)
def test_images_are_streamed(method: str) -> None:
    """At most three images are in memory, whatever their number."""
    alive: list[weakref.ref[np.ndarray]] = []

    def feeds(_: object) -> Iterator[dict[str, np.ndarray]]:
        for seed in range(20):
            image = images(1, seed)
            alive.append(weakref.ref(image))
            assert sum(reference() is not None for reference in alive) <= 3
            yield {"data": image}
            del image

    quantized = quantize(NETWORKS["residual"](), Calibration([str(seed) for seed in range(20)], feeds), method)
    assert len(alive) % 20 == 0    # whole passes: for ranges, biases, and the noise before and after correction
    assert quantized.layers
