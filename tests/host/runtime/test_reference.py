"""The ONNX Runtime reference."""

from typing import Any

import numpy as np
import onnx
import pytest
from networks import Network

from arrayloom.compiler.errors import SessionError
from arrayloom.host.runtime import reference
from arrayloom.host.runtime.reference import Reference, saturates, saturation_notice


def _model(dtype: Any = np.uint8) -> onnx.ModelProto:
    net = Network()
    net.quantize("image", 0.5, 3, dtype, output="x")
    weight = net.constant(np.arange(-72, 72, 2, dtype=np.int8).reshape(2, 4, 3, 3))
    parameters = [net.constant(np.float32(0.5)), net.constant(np.array(3, dtype))]
    net.node("QLinearConv", ["x", *parameters, weight, *_unit(net), *parameters], "y")
    net.dequantize("y", 0.5, 3, dtype, output="out")
    return net.model({"image": (np.float32, ["N", 4, 5, 5])}, ["out"])


def _unit(net: Network) -> list[str]:
    return [net.constant(np.float32(1)), net.constant(np.int8(0))]


def _images(count: int) -> dict[str, Any]:
    return {"image": np.random.default_rng(0).normal(0, 20, (count, 4, 5, 5)).astype(np.float32)}


def test_run_gives_the_outputs_of_a_batch() -> None:
    outputs = Reference(_model()).run(_images(3))
    assert {name: value.shape for name, value in outputs.items()} == {"out": (3, 2, 3, 3)}


def test_run_all_adds_every_integer_value() -> None:
    run = Reference(_model())
    values = run.run_all(_images(2))
    assert set(values) == {"x", "y", "out"}
    assert values["y"].dtype == np.uint8
    assert np.array_equal(values["out"], run.run(_images(2))["out"])
    assert np.array_equal(values["out"], (values["y"].astype(np.float32) - 3) * np.float32(0.5))


def test_signed_activations_run_without_the_precision_option() -> None:
    assert Reference(_model(np.uint8)).exact_kernels
    assert not Reference(_model(np.int8)).exact_kernels


def test_wrong_inputs_are_named() -> None:
    run = Reference(_model())
    with pytest.raises(SessionError, match=r"ONNX Runtime cannot run the model: .*image"):
        run.run({})
    with pytest.raises(SessionError, match=r"ONNX Runtime cannot run the model: .*"):
        run.run({"image": np.zeros((1, 4, 5, 6), np.float32)})


def test_a_model_that_onnxruntime_rejects_is_named() -> None:
    net = Network()
    net.node("Relu", ["nowhere"], "y")
    with pytest.raises(SessionError, match=r"ONNX Runtime cannot load the model: .*nowhere"):
        Reference(net.model({"x": (np.float32, ["N", 4])}, ["y"]))


def test_no_notice_where_products_are_exact() -> None:
    if saturates("uint8") or saturates("int8"):
        pytest.skip("ONNX Runtime's products saturate on this CPU")
    assert saturation_notice() is None


@pytest.mark.parametrize(("dtype", "saturating", "told"), [
    (np.int8, True, True), (np.int8, False, False), (np.uint8, True, False)])
def test_a_model_without_exact_kernels_gets_a_note_on_saturation(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, saturating: bool, told: bool
) -> None:
    monkeypatch.setattr(reference, "saturates", lambda _activations, exact: saturating and not exact)
    note = Reference(_model(dtype)).saturation_note()
    assert (note is not None) == told
    assert note is None or "AVX2 without VNNI" in note


def test_saturation_is_detected_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Saturating(reference.Session):
        def run(self, inputs: Any) -> dict[str, Any]:
            return {name: value // 2 for name, value in super().run(inputs).items()}

    monkeypatch.setattr(reference, "Session", Saturating)
    saturates.cache_clear()
    try:
        notice = saturation_notice()
    finally:
        saturates.cache_clear()
    assert notice is not None
    assert notice.startswith("ONNX Runtime's products of uint8 and int8 activations saturate on this CPU")
