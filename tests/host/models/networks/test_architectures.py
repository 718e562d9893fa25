"""The five architectures: parameters as in torchvision, shapes as in the original service, valid ONNX."""

import math

import numpy as np
import onnx
import pytest

from arrayloom.host.models.networks import SPECS, NetworkError, find_spec
from arrayloom.host.models.networks.architectures import densenet121, resnet, ssd_vgg, vgg16

# torchvision's published numbers of learned parameters (SSD: with 21 classes), then of running statistics
COUNTS = {
    "resnet50": (25_557_032, 53_120),
    "resnet152": (60_192_808, 151_424),
    "vgg16": (138_357_544, 0),
    "densenet121": (7_978_856, 83_648),
    "ssd_vgg": (26_285_486, 0),
    "ssd_vgg_37": (26_285_486, 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_parameters_as_torchvision(name):
    spec = SPECS[name]
    shapes = spec.blueprint(spec.classes).parameters
    statistics = sum(math.prod(shape) for key, shape in shapes.items() if ".running_" in key)
    assert (sum(map(math.prod, shapes.values())) - statistics, statistics) == COUNTS[name]


@pytest.mark.parametrize(("blueprint", "shapes"), [
    (resnet(50), {"conv1.weight": (64, 3, 7, 7), "layer1.0.downsample.0.weight": (256, 64, 1, 1),
                  "layer4.2.bn3.running_var": (2048,), "fc.weight": (1000, 2048)}),
    (resnet(152), {"layer2.7.conv2.weight": (128, 128, 3, 3), "layer3.35.conv3.weight": (1024, 256, 1, 1)}),
    (vgg16(), {"features.0.weight": (64, 3, 3, 3), "features.28.bias": (512,), "classifier.0.weight": (4096, 25088),
               "classifier.6.bias": (1000,)}),
    (densenet121(), {"features.denseblock3.denselayer24.norm1.weight": (992,), "features.transition3.conv.weight":
                     (512, 1024, 1, 1), "features.norm5.bias": (1024,), "classifier.weight": (1000, 1024)}),
    (ssd_vgg(), {"backbone.features.21.weight": (512, 512, 3, 3), "backbone.scale_weight": (512,),
                 "backbone.extra.0.5.weight": (512, 512, 3, 3), "backbone.extra.0.7.1.weight": (1024, 512, 3, 3),
                 "backbone.extra.0.7.3.weight": (1024, 1024, 1, 1), "backbone.extra.4.2.weight": (256, 128, 3, 3),
                 "head.classification_head.module_list.0.weight": (84, 512, 3, 3),
                 "head.regression_head.module_list.1.bias": (24,)}),
], ids=lambda value: getattr(value, "name", ""))
def test_names_and_shapes_of_torchvisions_state_dict(blueprint, shapes):
    assert {name: blueprint.parameters[name] for name in shapes} == shapes


def test_strides_of_version_1_5():
    strides = {node.input[1]: next(each.ints[0] for each in node.attribute if each.name == "strides")
               for node in resnet(50).nodes if node.op_type == "Conv"}
    for stage in (2, 3, 4):
        assert strides[f"layer{stage}.0.conv1.weight"] == 1
        assert strides[f"layer{stage}.0.conv2.weight"] == strides[f"layer{stage}.0.downsample.0.weight"] == 2


@pytest.mark.parametrize(("blueprint", "features"), [
    (resnet(50), (2048, 1, 1)), (resnet(152), (2048, 1, 1)), (vgg16(), (4096,)), (densenet121(), (1024, 1, 1))],
    ids=lambda value: getattr(value, "name", ""))
def test_features_before_the_classifier(blueprint, features):
    assert blueprint.features.shape == features
    assert blueprint.outputs == (("logits", (1000,)),)


@pytest.mark.parametrize("grid", [38, 37])
def test_ssds_twelve_maps(grid):
    sides, boxes = (grid, 19, 10, 5, 3, 1), (4, 6, 6, 6, 4, 4)
    outputs = ssd_vgg(grid=grid).outputs
    assert [output.shape for output in outputs[:6]] == [(n * 21, s, s) for n, s in zip(boxes, sides, strict=True)]
    assert [output.shape for output in outputs[6:]] == [(n * 4, s, s) for n, s in zip(boxes, sides, strict=True)]


@pytest.mark.parametrize("blueprint", [densenet121(7), ssd_vgg(4), resnet(50, 3)], ids=lambda each: each.name)
def test_shapes_are_those_of_onnx(blueprint):
    values = {name: np.zeros(shape, np.float32) for name, shape in blueprint.parameters.items()}
    model = blueprint.model(values)
    onnx.checker.check_model(model)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    found = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)[1:]
             for value in [*inferred.graph.value_info, *inferred.graph.output]}
    assert {name: found[name] for name in blueprint.shapes if name in found} == {
        name: shape for name, shape in blueprint.shapes.items() if name in found}
    assert len(found) >= len(blueprint.shapes) - 1


def test_unknown_networks():
    with pytest.raises(NetworkError, match="network 'resnet34': unknown; known are resnet50, resnet152, vgg16"):
        find_spec("resnet34")
