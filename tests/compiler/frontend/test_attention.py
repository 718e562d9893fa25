"""Import of attention: heads however they are taken apart, softmax and layer normalization, equal to ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from interpreter import interpret
from numpy.typing import NDArray

from arrayloom.compiler.attention import LayerNorm, Mixture, Scores, Softmax
from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.graph import Graph
from arrayloom.host.runtime.reference import Reference

WITH_UNIT = ImportOptions(attention=True)
FORMS = ("qop_u8s8", "qdq_u8s8", "qdq_s8s8_pc_sym")
MOST_STEPS = 2  # of a logit, from one byte in 10**5 of a normalization, which ONNX Runtime computes in float

HEADS, DEPTH, TOKENS = 2, 4, 5
CHANNELS = HEADS * DEPTH


def _differing(graph: Graph, inputs: dict[str, NDArray[Any]]) -> tuple[int, int]:
    """Tensors of the integer model that were compared, and bytes that differ."""
    expected = Reference(graph.integer_model).run_all(inputs) | inputs
    values = {name: value for name, value in interpret(graph, inputs).items() if name in expected}
    return len(values), sum(int(np.sum(expected[name].reshape(value.shape) != value)) for name, value in values.items())


def _kinds(graph: Graph) -> dict[str, int]:
    kinds = [type(op).__name__ for op in graph.ops]
    return {kind.__name__: kinds.count(kind.__name__) for kind in (Scores, Softmax, Mixture, LayerNorm)}


@pytest.mark.parametrize("form", FORMS)
def test_every_tensor_of_a_vision_transformer_equals_onnxruntime(shared_data: Path, form: str) -> None:
    folder = shared_data / "transformers"
    imported = import_model(folder / f"vit_micro_p8_{form}.onnx", WITH_UNIT)
    graph = imported.graph
    assert _kinds(graph) == {"Scores": 4, "Softmax": 4, "Mixture": 4, "LayerNorm": 9}
    assert graph.host.head is None and graph.host.tail is None
    steps = []
    for image in np.load(folder / "calib.npz")["image"][:3]:
        inputs = {"image": image[np.newaxis].astype(np.float32)}
        compared, differing = _differing(graph, inputs)
        assert compared >= 96 and differing == 0
        given, lowered = (Reference(model).run_all(inputs)["logits"] for model in (imported.original, graph.integer_model))
        assert given.argmax() == lowered.argmax()
        steps.append(np.abs(given - lowered).max() / graph.outputs[0].tail[0].scale)
    assert max(steps) <= MOST_STEPS + 0.5


def test_without_the_unit_every_node_is_refused_by_name(shared_data: Path) -> None:
    with pytest.raises(UnsupportedError) as refusal:
        import_model(shared_data / "transformers" / "vit_micro_p8_qdq_u8s8.onnx")
    refused = {entry.node for entry in refusal.value.nodes}
    assert {"/blocks/blocks.0/attn/MatMul", "/blocks/blocks.3/attn/MatMul_1", "/blocks/blocks.0/attn/Softmax",
            "/blocks/blocks.3/norm2/LayerNormalization"} <= refused


# Ways from [N, T, 3 C] to queries, keys turned and values, as exporters write them.
WAYS = {
    "one Transpose, Gather": (
        [[0, 0, 3, HEADS, DEPTH], [3, 0, 2, 1, 4]], """
        all = Reshape(x, apart)
        moved = Transpose<perm = [2, 0, 3, 1, 4]>(all)
        q = Gather<axis = 0>(moved, zero)
        k = Gather<axis = 0>(moved, one)
        v = Gather<axis = 0>(moved, two)
        kt = Transpose<perm = [0, 1, 3, 2]>(k)"""),
    "Split before heads": (
        [[0, 0, HEADS, DEPTH], []], """
        qs, ks, vs = Split<axis = 2>(x, thirds)
        qh = Reshape(qs, apart)
        kh = Reshape(ks, apart)
        vh = Reshape(vs, apart)
        q = Transpose<perm = [0, 2, 1, 3]>(qh)
        kt = Transpose<perm = [0, 2, 3, 1]>(kh)
        v = Transpose<perm = [0, 2, 1, 3]>(vh)"""),
    "all of a head side by side": (
        [[0, 0, HEADS, 3 * DEPTH], []], """
        all = Reshape(x, apart)
        moved = Transpose<perm = [0, 2, 1, 3]>(all)
        q, k, v = Split<axis = 3>(moved, depths)
        kt = Transpose<perm = [0, 1, 3, 2]>(k)"""),
}


def _network(way: str) -> onnx.ModelProto:
    apart, nodes = WAYS[way]
    model = onnx.parser.parse_model(f"""
    <ir_version: 9, opset_import: ["" : 17, "com.microsoft" : 1]>
    attention (uint8[N, {TOKENS}, {3 * CHANNELS}] x) => (uint8[N, {TOKENS}, {CHANNELS}] y)
    <float s = {{0.05}}, float ps = {{0.00390625}}, uint8 z = {{128}}, uint8 pz = {{0}}, int64 zero = {{0}},
     int64 one = {{1}}, int64 two = {{2}}, int64[{len(apart[0])}] apart = {{{",".join(map(str, apart[0]))}}},
     int64[3] thirds = {{{CHANNELS},{CHANNELS},{CHANNELS}}}, int64[3] depths = {{{DEPTH},{DEPTH},{DEPTH}}},
     int64[3] flat = {{0,0,{CHANNELS}}}>
    {{
        {nodes}
        scores = QLinearMatMul(q, s, z, kt, s, z, s, z)
        weights = com.microsoft.QLinearSoftmax<axis = -1, opset = 13>(scores, s, z, ps, pz)
        mixed = QLinearMatMul(weights, ps, pz, v, s, z, s, z)
        back = Transpose<perm = [0, 2, 1, 3]>(mixed)
        y = Reshape(back, flat)
    }}""")
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}{number}"
    return model


@pytest.mark.parametrize("way", WAYS)
def test_heads_are_found_however_they_are_taken_apart(way: str) -> None:
    graph = import_model(_network(way), WITH_UNIT).graph
    assert _kinds(graph) == {"Scores": 1, "Softmax": 1, "Mixture": 1, "LayerNorm": 0}
    x = np.random.default_rng(1).integers(0, 256, (1, TOKENS, 3 * CHANNELS)).astype(np.uint8)
    _, differing = _differing(graph, {"x": x})
    assert differing == 0


def test_a_softmax_of_qdq_form_takes_the_whole_part_of_its_scale_as_onnxruntime_does() -> None:
    """1 / scale is 254.6: the nearest number would be 255."""
    model = onnx.parser.parse_model(f"""
    <ir_version: 9, opset_import: ["" : 17]>
    attention (uint8[N, {TOKENS}, {CHANNELS}] x) => (uint8[N, {TOKENS}, {CHANNELS}] y)
    <float s = {{0.05}}, float ps = {{{1 / 254.6}}}, uint8 z = {{128}}, uint8 pz = {{0}},
     int64[4] apart = {{0,{TOKENS},{HEADS},{DEPTH}}}, int64[3] flat = {{0,{TOKENS},{CHANNELS}}}>
    {{
        real = DequantizeLinear(x, s, z)
        heads = Reshape(real, apart)
        q = Transpose<perm = [0, 2, 1, 3]>(heads)
        kt = Transpose<perm = [0, 2, 3, 1]>(heads)
        products = MatMul(q, kt)
        scores = QuantizeLinear(products, s, z)
        again = DequantizeLinear(scores, s, z)
        shares = Softmax<axis = -1>(again)
        weights = QuantizeLinear(shares, ps, pz)
        weighted = DequantizeLinear(weights, ps, pz)
        mixed = MatMul(weighted, q)
        back = Transpose<perm = [0, 2, 1, 3]>(mixed)
        joined = Reshape(back, flat)
        y = QuantizeLinear(joined, s, z)
    }}""")
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}{number}"
    imported = import_model(model, WITH_UNIT)
    assert [op.factor for op in imported.graph.ops if isinstance(op, Softmax)] == [254]
    inputs = {"x": np.random.default_rng(2).integers(118, 139, (1, TOKENS, CHANNELS)).astype(np.uint8)}
    given, lowered = (Reference(each).run_all(inputs)["y"] for each in (imported.original, imported.lowered))
    np.testing.assert_array_equal(given, lowered)


def test_a_product_of_activations_that_is_no_attention_is_refused() -> None:
    model = onnx.parser.parse_model("""
    <ir_version: 9, opset_import: ["" : 17]>
    product (uint8[N, 3, 4, 4] x) => (uint8[N, 3, 4, 4] y)
    <float s = {0.05}, uint8 z = {128}> { y = QLinearMatMul(x, s, z, x, s, z, s, z) }""")
    model.graph.node[0].name = "square"
    with pytest.raises(UnsupportedError, match=r"'square'.*not those of attention"):
        import_model(model, WITH_UNIT)
