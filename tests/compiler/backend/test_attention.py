"""Attention on the emulator: every tensor equal to ONNX Runtime's, and what cannot be compiled refused by name."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import transformer_networks
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.placement import _require_whole
from arrayloom.compiler.errors import CompileError, UnsupportedError
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.passes import _network
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import FeedWeights, LoadWeights
from arrayloom.isa.order import order_of
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Emulator

WITH_UNIT = ImportOptions(attention=True)
TINY, LARGE = PRESETS["tiny-vit"], PRESETS["16x16-vit"]
SHALLOW = replace(TINY, name="shallow", accumulator_depth=32, activation_bytes=1 << 16)     # tokens fit a bank, not twice
FORMS = ("qop_u8s8", "qdq_u8s8", "qdq_s8s8_pc_sym")


def _import(model: onnx.ModelProto | Path) -> ImportedModel:
    return import_model(model, WITH_UNIT)


def _differing(imported: ImportedModel, config: Config, image: NDArray[np.float32]) -> tuple[int, int]:
    """Tensors compared, and bytes that differ."""
    graph, program = imported.graph, compile_graph(imported.graph, config)
    given = graph.inputs[0]
    assert given.quantize is not None
    emulator = Emulator(program, config)
    emulator.run({given.name: given.quantize.apply(image)[0]})
    expected = Reference(graph.integer_model).run_all({given.name: image})
    found = {name: emulator.capture.tensor(program, name) for name in graph.tensors if name in expected}
    shown = {name: values for name, values in found.items() if values is not None}
    return len(shown), sum(int((values != expected[name].reshape(values.shape)).sum()) for name, values in shown.items())


@pytest.mark.parametrize("form", FORMS)
def test_a_vision_transformer_equals_onnxruntime(shared_data: Path, form: str) -> None:
    folder = shared_data / "transformers"
    image = np.load(folder / "calib.npz")["image"][:1].astype(np.float32)
    compared, differing = _differing(_import(folder / f"vit_micro_p8_{form}.onnx"), LARGE, image)
    assert compared >= 70 and differing == 0


@pytest.mark.parametrize("config", [TINY, SHALLOW, LARGE], ids=lambda config: config.name)
def test_a_drawn_transformer_equals_onnxruntime(config: Config) -> None:
    imported = _import(transformer_networks.build("vit_micro"))
    compared, differing = _differing(imported, config, transformer_networks.picture("vit_micro"))
    assert compared > 30 and differing == 0


def test_the_weight_fifo_is_filled_in_order() -> None:
    """Of two that fill it one after the other, by different units, the second knows that the first is complete."""
    program: Program = compile_graph(_import(transformer_networks.build("vit_micro")).graph, TINY)
    instructions = list(program)
    clocks = order_of(instructions).clocks
    feeders = [index for index, one in enumerate(instructions) if isinstance(one, LoadWeights | FeedWeights)]
    units = [instructions[index].UNIT for index in feeders]
    assert set(units) == {Unit.LOAD, Unit.ATTENTION}
    for (first, one), (second, other) in zip(zip(feeders, units, strict=True), zip(feeders[1:], units[1:], strict=True),
                                             strict=False):
        assert one is other or clocks[second, one] >= first


@pytest.mark.parametrize(("config", "reason"), [
    (PRESETS["16x16"], r"16x16 has no ATTENTION unit; choose a configuration with one, such as tiny-vit"),
    (replace(PRESETS["32x32-vit"], size=64, lanes=16, attention_lanes=16, column_stage=64),
     r"channels of a head = 32.*multiple of the array's size, 64"),
    (replace(TINY, accumulator_depth=16), r"tokens = 17.*holds 16")])
def test_what_does_not_fit_is_refused_by_name(config: Config, reason: str) -> None:
    graph = _import(transformer_networks.build("vit_micro")).graph
    with pytest.raises(UnsupportedError, match=reason) as refusal:
        compile_graph(graph, config)
    assert all(entry.operator in ("QLinearMatMul", "com.microsoft.QLinearSoftmax", "LayerNormalization")
               for entry in refusal.value.nodes)


def test_a_product_whose_weights_find_no_place_is_refused_by_name() -> None:
    network = _network(_import(transformer_networks.build("vit_micro")).graph, TINY, set(), set())
    name = next(step.operation.others[0] for step in network.steps if step.operation.others)
    with pytest.raises(CompileError, match=f"reads all of '{re.escape(name)}'.* greater activation_bytes"):
        _require_whole(network, {allocation_root(network, name)[0]}, TINY)
