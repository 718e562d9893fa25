"""Weights from every kind of file, refusals of files that do not fit, and seeded weights that keep every layer alive."""

import re

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from safetensors.numpy import save_file
from small_network import SMALL, small_blueprint

from arrayloom.compiler.frontend import NOTICE
from arrayloom.compiler.frontend.runtime import Session, with_outputs
from arrayloom.host.models.networks import SPECS, NetworkError, Resnet50, WeightsError, build_float
from arrayloom.host.models.networks.architectures import ssd_vgg
from arrayloom.host.models.networks.blueprint import Builder
from arrayloom.host.models.networks.build import seeded_images
from arrayloom.host.models.networks.random_weights import pictures, seeded_weights
from arrayloom.host.models.networks.weight_files import fit, read_weights

BLUEPRINT = small_blueprint()


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return {name: rng.uniform(0.5, 1.5, shape).astype(np.float32) for name, shape in BLUEPRINT.parameters.items()}


def _write(path, weights):
    if path.suffix == ".npz":
        np.savez(path, **weights)
    elif path.suffix == ".safetensors":
        save_file(weights, path)
    elif path.suffix == ".onnx":
        onnx.save(BLUEPRINT.model(weights), path)
    else:
        torch = pytest.importorskip("torch", reason="the extra torch is not installed")
        counters = {"bn1.num_batches_tracked": torch.tensor(7)}
        torch.save({name: torch.from_numpy(value) for name, value in weights.items()} | counters, path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".onnx", ".pth", ".pt"])
def test_every_format_gives_the_same_values(suffix, weights, tmp_path):
    read = read_weights(_write(tmp_path / f"weights{suffix}", weights), BLUEPRINT)
    assert read.notice is None
    assert list(read.parameters) == list(BLUEPRINT.parameters)
    for name, value in read.parameters.items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)


def test_half_precision_widens(weights, tmp_path):
    halves = {name: value.astype(np.float16) for name, value in weights.items()}
    read = read_weights(_write(tmp_path / "weights.safetensors", halves), BLUEPRINT).parameters
    assert read["conv1.weight"].dtype == np.float32
    np.testing.assert_array_equal(read["fc.bias"], halves["fc.bias"])


def _exported(weights):
    """A network as torch exports it: normalization folded into the convolutions, numbered names."""
    model = BLUEPRINT.model(weights)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type != "BatchNormalization"]
    replaced = {}
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            gain, shift, mean, variance = (constants.pop(name).astype(np.float64) for name in node.input[1:])
            conv = next(each for each in nodes if each.output[0] == node.input[0])
            factor = gain / np.sqrt(variance + 1e-5)
            constants[conv.input[1]] = (constants[conv.input[1]] * factor.reshape(-1, 1, 1, 1)).astype(np.float32)
            conv.input.append(f"{conv.input[1]}.folded")
            constants[conv.input[2]] = (shift - mean * factor).astype(np.float32)
            replaced[node.output[0]] = conv.output[0]
    numbers = {name: f"onnx::Conv_{number}" for number, name in enumerate(constants)}
    for node in nodes:
        node.input[:] = [numbers.get(name, replaced.get(name, name)) for name in node.input]
    graph = helper.make_graph(nodes, "main_graph", model.graph.input, model.graph.output,
                              [numpy_helper.from_array(value, numbers[name]) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)


def test_an_exported_network_with_folded_normalization(weights, tmp_path):
    path = tmp_path / "exported.onnx"
    onnx.save(_exported(weights), path)
    built = build_float(SMALL, path)
    images = seeded_images(BLUEPRINT, "cifar10", 0, 2)
    wanted = Session(BLUEPRINT.model(weights)).run({"image": images})["logits"]
    np.testing.assert_allclose(Session(built.model).run({"image": images})["logits"], wanted, rtol=1e-4)


def test_an_onnx_file_of_another_network(weights, tmp_path):
    model = _exported(weights)
    path = tmp_path / "other.onnx"
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    strides = next(each for each in moved.graph.node[0].attribute if each.name == "strides")
    strides.ints[:] = [1, 1]
    onnx.save(moved, path)
    with pytest.raises(WeightsError, match=r"has strides \[1, 1\], and conv1 of the network \[2, 2\].*another version"):
        read_weights(path, BLUEPRINT)
    del model.graph.node[-1]
    onnx.save(model, path)
    with pytest.raises(WeightsError, match=r"small has Gemm fc where the file has the end of the graph"):
        read_weights(path, BLUEPRINT)


def test_both_shapes_are_named(weights):
    changed = weights | {"fc.weight": np.zeros((10, 12), np.float32)}
    del changed["bn1.bias"]
    changed["extra.weight"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError) as raised:
        fit(BLUEPRINT, changed, "mine.npz")
    for part in ("mine.npz: does not fit small", "fc.weight has shape [10, 12] in the file and [5, 12] in the network",
                 "bn1.bias [8] is missing", "extra.weight [3] is not a parameter of the network"):
        assert part in str(raised.value)


def test_many_faults_are_counted():
    with pytest.raises(WeightsError, match=r"conv1.weight \[8, 3, 3, 3\] is missing.*; and 6 more"):
        fit(BLUEPRINT, {}, "empty.npz")


@pytest.mark.parametrize(("value", "message"), [
    (np.full(5, np.nan, np.float32), "fc.bias holds NaN or infinity"),
    (np.zeros(5, np.int64), "fc.bias has dtype int64, not a float one"),
])
def test_values_that_are_no_weights(value, message, weights):
    with pytest.raises(WeightsError, match=message):
        fit(BLUEPRINT, weights | {"fc.bias": value}, "mine.npz")


def test_densenets_older_names():
    b = Builder("dense", 8, 8)
    x = b.batch_norm(b.image, "features.denseblock1.denselayer1.norm1")
    blueprint = b.finish([("y", b.conv(x, "features.denseblock1.denselayer1.conv1", 4, 1, bias=False))], None, None)
    old = {name.replace("norm1", "norm.1").replace("conv1", "conv.1"): np.ones(shape, np.float32)
           for name, shape in blueprint.parameters.items()}
    assert set(fit(blueprint, old, "old.pth")) == set(blueprint.parameters)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("weights.h5", b"x", r"weights are read from .npz, .safetensors, .pth, .pt, .onnx; this suffix is none"),
    ("weights.npz", b"text", "is not an .npz that numpy can read"),
    ("weights.npz", b"", "is not an .npz that numpy can read"),
    ("weights.safetensors", b"text", "is not a .safetensors file"),
    ("weights.onnx", b"text", "is not an ONNX model that can be read"),
])
def test_files_that_are_no_weights(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path / name, BLUEPRINT)
    with pytest.raises(WeightsError, match=r"no such file|this suffix"):
        read_weights(tmp_path / f"absent_{name}", BLUEPRINT)


def test_torch_files_unpickle_tensors_only(tmp_path):
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    path = tmp_path / "model.pth"
    torch.save(re.compile("code"), path)
    with pytest.raises(WeightsError, match="only tensors are unpickled"):
        read_weights(path, BLUEPRINT)


def test_seeded_weights_keep_every_layer_alive_and_are_the_same_again():
    images = seeded_images(BLUEPRINT, "cifar10", 0)
    first, again, other = (seeded_weights(BLUEPRINT, seed, images) for seed in (3, 3, 4))
    for name in BLUEPRINT.parameters:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["conv1.weight"], other["conv1.weight"])
    values = Session(with_outputs(BLUEPRINT.model(first), ["bn1", "block.bn", "conv2", "logits"])).run({"image": images})
    for name in ("bn1", "block.bn", "conv2"):
        deviation = values[name].std(axis=(0, 2, 3))
        assert (deviation > 0.5).all(), name
        assert (deviation < 1.5).all(), name
    assert values["logits"].std(axis=0).min() > 0.1     # different images give different values in every class


def test_pictures_differ_and_use_the_whole_range():
    first, second = pictures(2, 40, 60, 0)
    assert first.shape == (40, 60, 3)
    assert first.min() == 0
    assert first.max() == 255
    assert not np.array_equal(first, second)


def test_random_weights_are_said_to_be_random_wherever_they_go(tmp_path):
    built = build_float(SMALL, seed=0)
    assert "random (seed 0)" in built.provenance.notice
    for suffix in (".onnx", ".npz"):
        path = tmp_path / f"random{suffix}"
        if suffix == ".onnx":
            onnx.save(built.model, path)
        else:
            from small_network import Small

            Small.of(built).save_weights(path)
        again = build_float(SMALL, path)
        assert again.provenance.notice == built.provenance.notice
        assert again.provenance.digest == built.provenance.digest
        assert NOTICE in {entry.key for entry in again.model.metadata_props}


def test_ssds_scale_multiplies_the_weights_after_it():
    blueprint = ssd_vgg(4)
    values = {name: np.ones(shape, np.float32) for name, shape in blueprint.parameters.items()}
    values["backbone.scale_weight"] = np.arange(512, dtype=np.float32)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in blueprint.model(values).graph.initializer}
    for kind in ("classification", "regression"):
        weight = constants[f"head.{kind}_head.module_list.0.weight"]
        assert (weight == np.arange(512).reshape(1, -1, 1, 1)).all()
        assert (constants[f"head.{kind}_head.module_list.1.weight"] == 1).all()


@pytest.mark.parametrize(("arguments", "message"), [
    ({}, "small: needs weights; give a file of them or a seed"),
    ({"seed": 0, "classes": 0}, "small: 0 classes; must be at least 1"),
    ({"seed": 0, "recipe": "imagenet"}, r"recipe imagenet: makes \[3, 224, 224\], but small takes \[3, 32, 32\]"),
])
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(NetworkError, match=message):
        build_float(SMALL, **arguments)


def test_a_trained_network_computes_what_its_file_computes(shared_data):
    """ResNet-50 from another exporter, its weights in our layers: the same logits on a photograph, and the right class."""
    path = shared_data / "models" / "resnet50_fp32.onnx"
    built = build_float(SPECS["resnet50"], path)
    assert built.provenance.notice is None
    network = Resnet50.of(built)
    image = network.preprocess([shared_data / "images" / "snowleopardgaze.jpg"])
    wanted = next(iter(Session(onnx.load(path)).run({"data": image.transpose(0, 3, 1, 2)}).values()))
    found = network.get_default_classifier(network.featurize(image), logits=True)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert network.classify(image).argmax() == 289
