"""The digits network: its shipped files, its accuracy, and the layers used for its training."""

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.digits import FLOAT_MODEL, IMAGES, LABELS, MODEL
from arrayloom.host.models.digits.evaluate import correct, load_splits, main
from arrayloom.host.models.digits.export_onnx import to_onnx
from arrayloom.host.models.digits.resnet import Conv, GlobalAveragePool, Sequential, digits_resnet
from arrayloom.host.models.digits.train import train
from arrayloom.host.vision import load_image, preprocess, recipe

PICTURES = sorted(IMAGES.glob("*.png"))


@pytest.fixture(scope="module")
def splits():
    return load_splits()


def declared_shape(model):
    return [d.dim_value or d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]


def test_shipped_model_is_a_quantized_resnet():
    model = onnx.load(MODEL)
    onnx.checker.check_model(model)
    block = ["QLinearConv", "QLinearConv", "QLinearAdd"]
    projected = ["QLinearConv", *block]
    head = ["QLinearGlobalAveragePool", "Flatten", "QGemm", "DequantizeLinear"]
    operators = ["QuantizeLinear", "QLinearConv", *block, *projected, *block, *head]
    assert [node.op_type for node in model.graph.node] == operators
    assert declared_shape(model) == ["N", 1, 8, 8]
    assert MODEL.stat().st_size < 200_000


def test_shipped_model_has_unsigned_activations_and_signed_weights_per_channel():
    model = onnx.load(MODEL)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QLinearConv":
            weight, weight_scale = constants[node.input[3]], constants[node.input[4]]
            assert weight.dtype == np.int8
            assert weight_scale.shape == (len(weight),)
            assert constants[node.input[7]].dtype == np.uint8


def test_at_least_98_percent_of_the_held_out_images(splits):
    _, held_out = splits
    assert len(held_out.labels) == 360
    assert correct(MODEL, held_out) / len(held_out.labels) >= 0.98
    assert correct(FLOAT_MODEL, held_out) / len(held_out.labels) >= 0.98


def test_evaluate_prints_both_accuracies_and_the_count(splits, capsys):
    _, held_out = splits
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{kind}: {100 * right / 360:.2f} % ({right} of 360 held-out images)"
        for kind, right in (("float", correct(FLOAT_MODEL, held_out)), ("int8 ", correct(MODEL, held_out)))
    ]


def test_splits_are_disjoint_and_hold_every_image(splits):
    indices = np.concatenate([split.indices for split in splits])
    assert sorted(indices) == list(range(1797))


def test_labels_are_the_ten_digits():
    assert LABELS.read_text().split() == [str(digit) for digit in range(10)]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_shipped_image_is_held_out_and_comes_back_as_trained(path, splits):
    _, label, index = path.stem.split("_")
    _, held_out = splits
    (place,) = np.flatnonzero(held_out.indices == int(index))
    assert held_out.labels[place] == int(label)
    tensor = preprocess(path, "digits", declared_shape(onnx.load(MODEL)))
    np.testing.assert_array_equal(tensor[0], held_out.inputs[place])
    assert load_image(path).shape == (64, 64, 3)


def test_every_digit_is_shipped_once_and_recognized():
    session = Session(onnx.load(MODEL))
    named, predicted = [], []
    for path in PICTURES:
        named.append(int(path.stem.split("_")[1]))
        predicted.append(int(np.argmax(session.run({"image": preprocess(path, "digits")})["logits"])))
    assert named == predicted == list(range(10))


def test_inputs_are_the_data_sets_counts_over_sixteen(splits):
    train_images, _ = splits
    counts = load_digits().images[train_images.indices]
    # A picture has 8 bits, so a sixteenth is at most half a grey level off.
    np.testing.assert_allclose(train_images.inputs[:, 0], counts / 16, atol=0.5 / 255 + 1e-7)


def test_float_onnx_computes_what_the_trained_layers_compute():
    network = digits_resnet(np.random.default_rng(3))
    for layer in network.weighted():
        layer.bias += np.float32(0.1)
    x = np.random.default_rng(4).random((5, 1, 8, 8), np.float32)
    session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": x})
    np.testing.assert_allclose(logits, network.forward(x.transpose(0, 2, 3, 1))[:, 0, 0], rtol=1e-4, atol=1e-4)


def test_backward_agrees_with_differences_of_forward():
    """The gradients of every parameter and of the input, against central differences in float64 along a random direction."""
    rng = np.random.default_rng(5)
    network = digits_resnet(rng)
    layers = list(network.weighted())
    for layer in layers:
        layer.weight, layer.bias = layer.weight.astype(np.float64), rng.normal(0, 0.1, layer.bias.shape)
    x, target = rng.random((3, 8, 8, 1)), rng.normal(size=(3, 1, 1, 10))
    network.forward(x)
    d_x = network.backward(target)
    pairs = [(x, d_x)] + [pair for c in layers for pair in zip((c.weight, c.bias), c.grads, strict=True)]
    for value, gradient in pairs:
        direction = rng.normal(size=value.shape)
        values = []
        for step in (1e-6, -2e-6):
            value += step * direction
            values.append(float((network.forward(x) * target).sum()))
        value += 1e-6 * direction
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(float((gradient * direction).sum()), rel=1e-4, abs=1e-6)


def test_strided_convolution_matches_its_definition():
    rng = np.random.default_rng(6)
    conv = Conv(rng, 2, 3, stride=2)
    x = rng.normal(size=(1, 8, 8, 2)).astype(np.float32)
    y = conv.forward(x)
    assert y.shape == (1, 4, 4, 3)
    window = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))[0, 4:7, 2:5]
    np.testing.assert_allclose(y[0, 2, 1], np.einsum("yxi,yxio->o", window, conv.weight), rtol=1e-5)


def test_exporter_refuses_a_layer_without_an_operator():
    class Unknown:
        pass

    with pytest.raises(TypeError, match=r"^no ONNX operator for Unknown$"):
        to_onnx(Sequential(GlobalAveragePool(), Unknown()))


def test_training_is_reproducible_and_learns(splits):
    train_images, held_out = splits
    first, second = train(train_images, epochs=4), train(train_images, epochs=4)
    for a, b in zip(first.weighted(), second.weighted(), strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
    logits = first.forward(held_out.inputs.transpose(0, 2, 3, 1))[:, 0, 0]
    assert np.mean(logits.argmax(axis=1) == held_out.labels) > 0.7


def test_digits_recipe_is_the_mean_over_blocks():
    rng = np.random.default_rng(7)
    grey = rng.integers(0, 256, (16, 24), np.uint8)
    tensor = recipe("digits").apply(np.repeat(grey[:, :, np.newaxis], 3, axis=2))
    means = grey.reshape(8, 2, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(tensor[0, 0] * 255, means, atol=1.01)
