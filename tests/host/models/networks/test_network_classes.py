"""The network classes: names and sizes, features and classifier, and refusal of files of other networks."""

import numpy as np
import onnx
import pytest
from small_network import SMALL, QuantizedSmall, Small

from arrayloom.host.models import networks
from arrayloom.host.models.networks import NetworkError, build_float, build_quantized
from arrayloom.host.models.networks.build import Built, seeded_images
from arrayloom.host.models.networks.checks import check_alive, normalization_error
from arrayloom.host.models.networks.ssd import OUTPUTS
from arrayloom.host.models.quantize import Calibration
from arrayloom.host.runtime.reference import Reference

CLASSES = [getattr(networks, prefix + name) for name in ("Resnet50", "Resnet152", "Vgg16", "Densenet121", "SsdVgg")
           for prefix in ("", "Quantized")]


@pytest.fixture(scope="module")
def built():
    return build_float(SMALL, seed=0)


@pytest.fixture(scope="module")
def quantized(built):
    return build_quantized(built)


@pytest.fixture(scope="module")
def images():
    return seeded_images(SMALL.blueprint(5), "cifar10", 2, 3).transpose(0, 2, 3, 1).copy()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda each: each.__name__)
def test_names_and_sizes_of_the_service(kind, tmp_path):
    """Checked on a file without weights, since only the metadata is read."""
    spec = kind.specs[0]
    path = tmp_path / "network.onnx"
    onnx.save(_empty(spec.name, kind.quantized, spec.classes), path)
    network = kind(path)
    side = 300 if spec.name == "ssd_vgg" else 224
    assert network.input_tensor_list == ["image"]
    assert network.get_input_dims(0) == [None, side, side, 3]
    widths = {"resnet50": 2048, "resnet152": 2048, "vgg16": 4096, "densenet121": 1024}
    if spec.name in widths:
        assert len(network.output_tensor_list) == 1
        assert network.get_output_dims(0) == [None, 1, 1, widths[spec.name]]
    else:
        assert network.output_tensor_list == list(OUTPUTS)
        assert [network.get_output_dims(i) for i in (0, 1, 5, 6, 11)] == [
            [None, 38, 38, 4, 21], [None, 19, 19, 6, 21], [None, 1, 1, 4, 21], [None, 38, 38, 4, 4], [None, 1, 1, 4, 4]]
        assert [each.shape[0] for each in network.anchors] == [38, 19, 10, 5, 3, 1]
        with pytest.raises(NetworkError, match="has no classifier: its outputs hold the classes of every box"):
            network.get_default_classifier(np.zeros((1, 1, 1, 8)))
    with pytest.raises(NetworkError, match=r"output 12: the network has (1|12), counted from 0"):
        network.get_output_dims(12)


def _empty(name: str, quantized: bool, classes: int) -> onnx.ModelProto:
    operator = "QLinearConv" if quantized else "Conv"
    model = onnx.helper.make_model(onnx.helper.make_graph([onnx.helper.make_node(operator, ["x"], ["y"])], "g", [], []))
    values = {"network": name, "weights": "none", "digest": "0" * 64, "recipe": "none", "classes": str(classes)}
    onnx.helper.set_model_props(model, {f"arrayloom.{key}": value for key, value in values.items()})
    return model


def test_37_positions_are_named_by_the_file(tmp_path):
    path = tmp_path / "network.onnx"
    onnx.save(_empty("ssd_vgg_37", False, 21), path)
    assert networks.SsdVgg(path).get_output_dims(0) == [None, 37, 37, 4, 21]


def test_features_and_classifier_of_the_float_network(built, images):
    with Small.of(built) as network:
        features = network.featurize(images)
        assert features.shape == (3, 1, 1, 12)
        logits = network.get_default_classifier(features, logits=True)
        wanted = Reference(built.model).run({"image": images.transpose(0, 3, 1, 2)})["logits"]
        np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(network.get_default_classifier(features), network.classify(images), rtol=1e-5)


@pytest.mark.parametrize("backend", ["emulator", "rtl"])
def test_features_and_classifier_of_the_quantized_network(quantized, images, backend):
    """The classifier on the CPU equals the accelerator's, bit for bit."""
    with QuantizedSmall.of(quantized, "tiny", backend) as network:
        features = network.featurize(images)
        assert features.shape == (3, 1, 1, 12)
        logits = network.get_default_classifier(features, logits=True)
        wanted = Reference(quantized.model).run({"image": images.transpose(0, 3, 1, 2)})["logits"]
        np.testing.assert_array_equal(logits, wanted)
        np.testing.assert_array_equal(network.get_default_classifier(features), network.classify(images))
        assert len({tuple(row) for row in logits.tolist()}) == 3


def test_files_open_again(built, quantized, images, tmp_path):
    Small.of(built).save(tmp_path / "float.onnx")
    QuantizedSmall.of(quantized).save(tmp_path / "int8.onnx")
    network = Small(tmp_path / "float.onnx")
    assert network.version.startswith("seed 0 (")
    assert "random" in network.notice
    np.testing.assert_array_equal(network.featurize(images), Small.of(built).featurize(images))
    with QuantizedSmall(tmp_path / "int8.onnx", "tiny", "emulator") as again:
        assert again.version == network.version
        assert again.featurize(images).shape == (3, 1, 1, 12)
    with pytest.raises(NetworkError, match="holds the float network, and QuantizedSmall is the quantized one; leave"):
        QuantizedSmall(tmp_path / "float.onnx")
    with pytest.raises(NetworkError, match="holds the quantized network, and Small is the float one; add --float"):
        Small(tmp_path / "int8.onnx")
    with pytest.raises(NetworkError, match="holds small, and Resnet50 is resnet50; open it with the class"):
        networks.Resnet50(tmp_path / "float.onnx")
    with pytest.raises(NetworkError, match="no such file; write it with arrayloom network small"):
        Small(tmp_path / "absent.onnx")
    onnx.helper.set_model_props(network.model, {})
    network.save(tmp_path / "bare.onnx")
    with pytest.raises(NetworkError, match=r"does not say which network it is \(metadata arrayloom.network is missing\)"):
        Small(tmp_path / "bare.onnx")


def test_weights_are_written(built, quantized, tmp_path):
    Small.of(built).save_weights(tmp_path / "float.npz")
    with np.load(tmp_path / "float.npz") as arrays:
        assert set(SMALL.blueprint(5).parameters) < set(arrays.files)
    QuantizedSmall.of(quantized).save_weights(tmp_path / "int8.npz")
    with np.load(tmp_path / "int8.npz") as arrays:
        assert any(arrays[name].dtype == np.int8 and arrays[name].ndim == 4 for name in arrays.files)
    with pytest.raises(NetworkError, match=r"weights are written as \.npz"):
        Small.of(built).save_weights(tmp_path / "float.h5")


def test_preprocessing_of_the_weights(built, tmp_path):
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    assert Small.of(built).preprocess([path, path.read_bytes()]).shape == (2, 32, 32, 3)


@pytest.mark.parametrize("images", [np.zeros((1, 3, 32, 32), np.float32), np.zeros((1, 32, 32, 3)),
                                    np.zeros((32, 32, 3), np.float32), np.zeros((0, 32, 32, 3), np.float32)])
def test_images_that_do_not_fit(built, images):
    with pytest.raises(NetworkError, match=r"Small: images \w+ \[.*\] given, float32 \[N, 32, 32, 3\] wanted"):
        Small.of(built).featurize(images)


def test_features_that_do_not_fit(built):
    with pytest.raises(NetworkError, match=r"Small: features \[1, 1, 1, 9\] given, \[N, 1, 1, 12\] wanted"):
        Small.of(built).get_default_classifier(np.zeros((1, 1, 1, 9), np.float32))


def test_trained_weights_need_photographs(built):
    provenance = type(built.provenance)("small", "mine.npz", "0" * 64, "cifar10", 5)
    trained = Built(SMALL, built.model, provenance)
    with pytest.raises(NetworkError, match="to quantize weights from a file, value ranges are measured on photographs"):
        build_quantized(trained)
    images = seeded_images(SMALL.blueprint(5), "cifar10", 0, 2)
    assert build_quantized(trained, Calibration.from_arrays(images)).liveness is None


def test_layers_that_are_dead_are_named(quantized):
    images = seeded_images(SMALL.blueprint(5), "cifar10", 1, 2)
    alive = check_alive(quantized.model, images)
    assert alive.tensors > 5
    assert 1 < alive.values_used <= 256
    assert 0 <= alive.saturated < 0.5
    with pytest.raises(NetworkError, match="is the same for two images; its layer is dead"):
        check_alive(quantized.model, np.stack([images[0], images[0]]))
    with pytest.raises(NetworkError, match="every element has the same value; its layer is dead"):
        check_alive(quantized.model, np.stack([np.zeros_like(images[0]), images[0]]))
    with pytest.raises(NetworkError, match="of it is at its upper limit; its layer is saturated"):
        check_alive(quantized.model, images * 1000 + 1000)


def test_networks_without_a_normalization_have_no_error_of_it(quantized):
    assert normalization_error(quantized.model, seeded_images(SMALL.blueprint(5), "cifar10", 1, 1)) is None
