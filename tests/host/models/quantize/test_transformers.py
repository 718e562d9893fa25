"""Quantization of float transformers: on the accelerator from end to end, bit-exact, and of the same mind as in float."""

from functools import cache

import numpy as np
import onnx
import pytest
from exact import assert_exact
from float_transformers import NETWORKS, digits, texts, with_fitted_heads

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.quantize import Calibration, Quantized, QuantizeError, compare_classes, quantize

CALIBRATED, COMPARED = 32, 200
SAME_CLASS = 0.95               # of the pictures and texts that are compared
NAMES = list(NETWORKS)


@cache
def _quantized(name: str) -> tuple[Quantized, np.ndarray, np.ndarray]:
    """The network, and what it is compared on, with classes."""
    inputs, classes = texts(1000) if name == "text" else digits()
    model = with_fitted_heads(NETWORKS[name](), inputs[COMPARED:], classes[COMPARED:])
    calibration = Calibration.from_arrays(inputs[COMPARED:COMPARED + CALIBRATED])
    return quantize(model, calibration), inputs[:COMPARED], classes[:COMPARED]


def _operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("name", NAMES)
def test_nearly_all_top_classes_are_kept(name: str) -> None:
    quantized, inputs, classes = _quantized(name)
    agreement = compare_classes(quantized, Calibration.from_arrays(inputs), classes.tolist())
    assert agreement.same_class >= SAME_CLASS * agreement.images
    before, after = agreement.accuracies or (0.0, 0.0)
    assert before > 0.8, "the float network knows nothing, so that agreement means nothing"
    assert after > before - 0.03


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("config", ["tiny-vit", "16x16-vit"])
def test_every_byte_equals_onnxruntime(name: str, config: str) -> None:
    quantized, inputs, _ = _quantized(name)
    assert_exact(quantized.model, inputs[:2], config)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_a_mean_of_two_heads_is_left_to_the_host(name: str) -> None:
    quantized, _, _ = _quantized(name)
    assert quantized.host.head is None
    left = [] if quantized.host.tail is None else [node.op for node in quantized.host.tail.nodes]
    assert left == (["Add", "Div"] if name == "distilled" else [])


def test_preparation_changes_nothing_but_roundings() -> None:
    for name in NAMES:
        quantized, inputs, _ = _quantized(name)
        given = {quantized.prepared.model.inputs[0].name: inputs[:3]}
        before = Session(quantized.prepared.original).run(given)
        after = Session(quantized.prepared.model.proto).run(given)
        for output, values in before.items():
            np.testing.assert_allclose(after[output], values, rtol=1e-3, atol=1e-4)


def test_biases_and_factors_cost_no_rounding() -> None:
    """Each product by weights is one convolution with its bias, and the only sums are those of branches and positions."""
    quantized, _, _ = _quantized("vision")
    operators = _operators(quantized.model)
    assert operators.count("QLinearConv") == 1 + 2 * 4
    assert operators.count("QLinearAdd") == 1 + 2 * 2
    assert operators.count("QLinearMatMul") == operators.count("QLinearSoftmax") * 2 == 4
    assert "QLinearMul" not in operators


def test_the_reciprocal_of_a_softmax_scale_is_a_whole_number() -> None:
    quantized, _, _ = _quantized("text")
    for value, (scale, zero_point) in quantized.scales.items():
        if value.startswith("softmax"):
            assert zero_point == 0 and 0 < 1 / scale - np.floor(1 / scale) < 0.01


def test_the_result_names_the_configurations_it_needs() -> None:
    quantized, _, _ = _quantized("text")
    assert any("attention_lanes" in note and "16x16-vit" in note for note in quantized.notes)
    with pytest.raises(UnsupportedError, match=r"Softmax 'Softmax_softmax"):
        import_model(quantized.model)


def test_indices_of_words_are_refused_with_a_remedy() -> None:
    table = onnx.numpy_helper.from_array(np.zeros((40, 32), np.float32), "table")
    inner = NETWORKS["text"]()
    inner.graph.initializer.append(table)
    inner.graph.node.insert(0, onnx.helper.make_node("Gather", ["table", "words"], ["embeddings"], "embed"))
    del inner.graph.input[:]
    inner.graph.input.append(onnx.helper.make_tensor_value_info("words", onnx.TensorProto.INT64, ["N", 12]))
    with pytest.raises(QuantizeError, match=r"input 'words' .* int64.*Gather 'embed'.*float32 .* 'embeddings'"):
        quantize(inner, Calibration.from_arrays({"words": np.zeros((2, 12), np.int64)}))
