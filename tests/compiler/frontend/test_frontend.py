"""Import of real networks: every tensor of the integer graph equals ONNX Runtime's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from interpreter import interpret
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Conv, Graph, SumPool, View
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.host_steps import Dequantize, Quantize

Array = NDArray[Any]

NETWORKS = {
    "mlperf_tiny_resnet8_int8_qdq": 16,
    "resnet20_cifar10_int8_qdq": 53,
    "resnet20_cifar10_int8_qop": 34,
    "resnet18_int8_qop": 33,
    "squeezenet1.0_int8_qop": 40,
}
LARGE = {"resnet50_int8_qop": 74}


def _image(graph: Graph, seed: int) -> dict[str, Array]:
    """Random pixels over the whole range of the input's quantization, and slightly beyond."""
    given = graph.inputs[0]
    rng = np.random.default_rng(seed)
    shape = (1, *given.shape)
    step = given.quantize
    if step is None:
        return {given.name: rng.integers(-128, 128, shape).astype(given.dtype)}
    return {given.name: (rng.uniform(-10, 265, shape) - step.zero_point).astype(np.float32) * np.float32(step.scale)}


def _differing(graph: Graph, inputs: dict[str, Array]) -> tuple[int, int]:
    """The number of tensors compared, and of bytes that differ between the interpreted graph and ONNX Runtime."""
    expected = Reference(graph.integer_model).run_all(inputs) | inputs
    values = interpret(graph, inputs)
    unequal = [int(np.sum(expected[name].reshape(value.shape) != value)) for name, value in values.items()]
    return len(unequal), sum(unequal)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_equals_onnxruntime(shared_data: Path, name: str) -> None:
    graph = import_model(shared_data / "models" / f"{name}.onnx").graph
    assert _differing(graph, _image(graph, seed=1)) == (NETWORKS[name], 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_every_tensor_of_a_large_network_equals_onnxruntime(shared_data: Path, name: str) -> None:
    graph = import_model(shared_data / "models" / f"{name}.onnx").graph
    assert _differing(graph, _image(graph, seed=1)) == (LARGE[name], 0)


def test_qoperator_model_passes_through_unchanged(shared_data: Path) -> None:
    model = onnx.load(shared_data / "models" / "resnet20_cifar10_int8_qop.onnx")
    before = model.SerializeToString()
    assert import_model(model).lowered is model
    assert model.SerializeToString() == before


def test_qdq_model_leaves_no_float_product(shared_data: Path) -> None:
    graph = import_model(shared_data / "models" / "resnet20_cifar10_int8_qdq.onnx").graph
    operators = {node.op_type for node in graph.integer_model.graph.node}
    assert operators.isdisjoint({"Conv", "Gemm", "Add", "AveragePool"})
    onnx.checker.check_model(graph.integer_model)


def test_qdq_model_scores_the_same_classes(shared_data: Path) -> None:
    path = shared_data / "models" / "resnet20_cifar10_int8_qdq.onnx"
    pixels = np.load(shared_data / "cifar10_lossless_130.npz")["x_uint8_nhwc"].astype(np.float32) / 255
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    images = {"data": ((pixels - mean) / deviation).transpose(0, 3, 1, 2).copy()}
    original = Reference(onnx.load(path)).run(images)["logits"]
    lowered = Reference(import_model(path).lowered).run(images)["logits"]
    assert np.mean(original.argmax(1) == lowered.argmax(1)) >= 0.98


def _two_layers() -> Network:
    net = Network()
    net.quantize("image", 0.5, 3, output="x")
    weight = net.constant(np.arange(16, dtype=np.int8).reshape(2, 2, 2, 2))
    one, zero = net.constant(np.float32(1)), net.constant(np.int8(0))
    parameters = [net.constant(np.float32(0.25)), net.constant(np.uint8(7))]
    scale, zero_x = net.constant(np.float32(0.5)), net.constant(np.uint8(3))
    net.node("QLinearConv", ["x", scale, zero_x, weight, one, zero, *parameters], "y", pads=[1, 0, 0, 1])
    net.node("Flatten", ["y"], "flat")
    matrix = net.constant(np.ones((2 * 3 * 3, 4), np.int8))
    net.node("QLinearMatMul", ["flat", *parameters, matrix, one, zero, *parameters], "z")
    net.dequantize("z", 0.25, 7, output="scores")
    return net


def test_a_graph_prints_one_operation_a_line() -> None:
    model = _two_layers().model({"image": (np.float32, ["N", 2, 3, 3])}, ["scores"])
    assert str(import_model(model).graph) == (
        "input image float32[2, 3, 3] quantize(scale=0.5, zero_point=3) -> x\n"
        "y: uint8[2,3,3] = Conv(x, weight=int16[2, 2, 2, 2], bias=int32[2], x_zero=3, scale=float32[2], y_zero=7, "
        "strides=(1,1), pads=(1,0,0,1), dilations=(1,1), group=1)  # QLinearConv QLinearConv_y\n"
        "flat: uint8[2,3,3] = View(y)  # Flatten Flatten_flat\n"
        "z: uint8[4,1,1] = Conv(flat, weight=int16[4, 2, 3, 3], bias=int32[4], x_zero=7, scale=float32[4], y_zero=7, "
        "strides=(1,1), pads=(0,0,0,0), dilations=(1,1), group=1)  # QLinearMatMul QLinearMatMul_z\n"
        "output scores <- z -> Dequantize(scale=0.25, zero_point=7)\n"
    )


def test_a_flattened_image_meets_a_kernel_of_its_own_size() -> None:
    graph = import_model(_two_layers().model({"image": (np.float32, ["N", 2, 3, 3])}, ["scores"])).graph
    view, product = graph.ops[1:]
    assert isinstance(view, View)
    assert isinstance(product, Conv)
    assert graph.tensors["flat"].onnx_shape == (18,)
    assert product.kernel == (3, 3)
    image = {"image": np.random.default_rng(0).normal(0, 20, (1, 2, 3, 3)).astype(np.float32)}
    assert _differing(graph, image)[1] == 0


def test_a_fixed_batch_becomes_a_loop() -> None:
    net = _two_layers()
    net.nodes[2] = onnx.helper.make_node("Reshape", ["y", net.constant(np.array([6, 18]))], ["flat"], "reshape")
    graph = import_model(net.model({"image": (np.float32, [6, 2, 3, 3])}, ["scores"])).graph
    assert graph.notes == ["the batch, fixed at 6 in the model, is compiled as a loop over images"]
    images = np.random.default_rng(0).normal(0, 20, (6, 2, 3, 3)).astype(np.float32)
    together = Reference(graph.integer_model).run({"image": images})["scores"]
    for index in range(6):
        values = interpret(graph, {"image": images[index : index + 1]})
        step = graph.outputs[0].tail[0]
        assert isinstance(step, Dequantize)
        scores = (values["z"].reshape(4).astype(np.float32) - step.zero_point) * np.float32(step.scale)
        assert np.array_equal(scores, together[index])


def test_initializers_listed_as_inputs_are_constants() -> None:
    model = _two_layers().model({"image": (np.float32, ["N", 2, 3, 3])}, ["scores"])
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    graph = import_model(model).graph
    assert [given.name for given in graph.inputs] == ["image"]
    assert graph.inputs[0].quantize == Quantize(0.5, 3, "uint8")


def test_shapes_computed_from_the_input_are_followed() -> None:
    net = _two_layers()
    shape = net.node("Shape", ["y"])
    batch = net.node("Gather", [shape, net.constant(np.array(0))], axis=0)
    rest = net.node("Constant", [], value=onnx.numpy_helper.from_array(np.array([-1])))
    target = net.node("Concat", [net.node("Unsqueeze", [batch, net.constant(np.array([0]))]), rest], axis=0)
    reshape = onnx.helper.make_node("Reshape", ["y", target], ["flat"], "reshape")
    net.nodes = [*net.nodes[:2], *net.nodes[5:], reshape, *net.nodes[3:5]]
    graph = import_model(net.model({"image": (np.float32, ["N", 2, 3, 3])}, ["scores"])).graph
    assert [type(op).__name__ for op in graph.ops] == ["Conv", "View", "Conv"]


def test_external_data_is_read(tmp_path: Path) -> None:
    model = _two_layers().model({"image": (np.float32, ["N", 2, 3, 3])}, ["scores"])
    expected = str(import_model(model).graph)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert str(import_model(tmp_path / "m.onnx").graph) == expected


def test_local_functions_are_inlined() -> None:
    net = Network()
    net.quantize("image", 0.5, 3, output="x")
    net.node("Halve", ["x"], "y", domain="own")
    model = net.model({"image": (np.float32, ["N", 2, 3, 3])}, ["y"])
    opset = onnx.helper.make_opsetid("", 13)
    body = [onnx.helper.make_node("MaxPool", ["a"], ["b"], "pool", kernel_shape=[3, 3])]
    model.functions.append(onnx.helper.make_function("own", "Halve", ["a"], ["b"], body, [opset]))
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    assert [op.op_type for op in import_model(model).graph.ops] == ["MaxPool"]


@pytest.mark.parametrize("case", ["qlinearconv", "qlinearmatmul_2D_uint8_float32", "qlinearmatmul_2D_int8_float32"])
def test_onnx_node_tests(case: str) -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node" / f"test_{case}"
    if not folder.is_dir():
        pytest.skip(f"this release of onnx ships no node tests (no {folder.name})")
    model = onnx.load(folder / "model.onnx")
    given = {}
    for index, value in enumerate(list(model.graph.input)):
        data = (folder / "test_data_set_0" / f"input_{index}.pb").read_bytes()
        tensor = onnx.TensorProto.FromString(data)
        tensor.name = value.name
        if index == 0:
            given[value.name] = onnx.numpy_helper.to_array(tensor)
        else:
            model.graph.initializer.append(tensor)
            model.graph.input.remove(value)
    expected = onnx.TensorProto.FromString((folder / "test_data_set_0" / "output_0.pb").read_bytes())
    graph = import_model(model).graph
    rows = [
        interpret(graph, {name: array[i : i + 1] for name, array in given.items()})[graph.outputs[0].tensor]
        for i in range(len(next(iter(given.values()))))
    ]
    assert np.array_equal(np.stack(rows).ravel(), onnx.numpy_helper.to_array(expected).ravel())


def test_average_over_the_whole_image_takes_the_global_formula() -> None:
    net = Network()
    parameters = [net.constant(np.float32(0.5)), net.constant(np.uint8(3))]
    net.node("QLinearAveragePool", ["x", *parameters, *parameters], "y", kernel_shape=[5, 4])
    graph = import_model(net.model({"x": (np.uint8, ["N", 2, 5, 4])}, ["y"])).graph
    assert isinstance(graph.ops[0], SumPool)
    assert graph.ops[0].scale == np.float32(0.5) / (np.float32(0.5) * np.float32(20))
