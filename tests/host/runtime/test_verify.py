"""``arrayloom.verify``: models and arrays, and one verdict over several images."""

import numpy as np
import onnx
import pytest
from networks import Network

import arrayloom
from arrayloom.compiler.frontend import NOTICE, import_model
from arrayloom.host.models import digits
from arrayloom.host.runtime import verify as module
from arrayloom.host.runtime.backends import EmulatorDevice
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.errors import DeviceError, InputError
from arrayloom.host.runtime.report import RunReport
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import verify_files
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.errors import ConfigError

FILES = sorted(digits.IMAGES.glob("*.png"))[:3]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.concatenate([preprocess(path, "digits") for path in FILES])


def _on_emulator(images: np.ndarray, **more: object) -> Verdict:
    return arrayloom.verify(digits.MODEL, {"image": images}, "tiny", "emulator", **more)  # type: ignore[arg-type]


def test_a_batch_is_one_verdict_over_its_images(images: np.ndarray) -> None:
    one, three = _on_emulator(images[2:]), _on_emulator(images)
    assert (one.bytes_differing, one.first_difference) == (three.bytes_differing, three.first_difference) == (0, None)
    assert three.bytes_compared == 3 * one.bytes_compared > 0
    assert three.tensors_compared == one.tensors_compared
    assert three.report.macs == 3 * one.report.macs
    np.testing.assert_array_equal(three.outputs["logits"], one.outputs["logits"])


def test_files_are_verified_as_their_arrays(images: np.ndarray) -> None:
    of_files = verify_files(digits.MODEL, FILES, "digits", "tiny", "emulator")
    assert of_files.bytes_compared == _on_emulator(images).bytes_compared


def test_models_in_memory_and_configurations_do_too(images: np.ndarray) -> None:
    verdict = arrayloom.verify(onnx.load(digits.MODEL), {"image": images[:1]}, load_config("tiny"), "emulator")
    assert verdict.bytes_differing == 0


def test_the_rtl_is_the_default(images: np.ndarray) -> None:
    verdict = arrayloom.verify(digits.MODEL, {"image": images[:1]}, "tiny")
    assert verdict.bytes_differing == 0
    assert verdict.report.backend == "rtl"
    assert verdict.report.cycles is not None


def test_progress_is_called(images: np.ndarray) -> None:
    shares: list[float] = []
    _on_emulator(images[:1], progress=lambda snapshot: shares.append(snapshot.share))
    assert shares == sorted(shares)
    assert shares[-1] > 0.9


@pytest.mark.parametrize(("inputs", "message"), [
    ({}, "input 'image' is missing; the model takes 'image'"),
    ({"image": np.zeros((0, 1, 8, 8), np.float32)}, "holds no image"),
    ({"image": np.zeros((1, 1, 9, 8), np.float32)}, r"shape \[1, 1, 9, 8\] given, \[N, 1, 8, 8\] wanted"),
    ({"image": np.zeros((1, 1, 8, 8), np.uint8)}, "dtype uint8 given, float32 wanted"),
])
def test_inputs_that_do_not_fit(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        arrayloom.verify(digits.MODEL, inputs, "tiny", "emulator")


def test_names_that_are_unknown(images: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="configuration '9x9': unknown"):
        arrayloom.verify(digits.MODEL, {"image": images}, "9x9", "emulator")
    with pytest.raises(DeviceError, match="backend 'fpga': unknown"):
        arrayloom.verify(digits.MODEL, {"image": images}, "tiny", "fpga")


def test_the_device_is_closed_after_a_failure() -> None:
    closed = []

    class Failing(EmulatorDevice):
        name = "failing"

        def execute(self, *_: object) -> object:  # type: ignore[override]
            raise DeviceError("it failed")

        def close(self) -> None:
            closed.append(True)

    def opened(config: Config) -> Device:
        return Failing(config)

    with pytest.raises(DeviceError, match="it failed"):
        verify_files(digits.MODEL, FILES[:1], "digits", "tiny", opened=opened)
    assert closed == [True]


def test_one_wrong_byte_of_one_image_is_found(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = module.compile_graph

    def tampered(*arguments: object) -> object:
        program = genuine(*arguments)  # type: ignore[arg-type]
        program.constants = program.constants.copy()
        program.constants[::7] ^= 0x10
        return program

    monkeypatch.setattr(module, "compile_graph", tampered)
    verdict = _on_emulator(images)
    assert verdict.bytes_differing > 0
    assert verdict.first_difference is not None


def _qdq() -> onnx.ModelProto:
    net = Network()
    real = net.dequantize("x", 0.05, 4, np.uint8)
    weight = net.dequantize(net.constant(np.ones((2, 4, 1, 1), np.int8)), 0.02, 0, np.int8)
    net.quantize(net.node("Conv", [real, weight]), 0.1, 7, output="y")
    model = net.model({"x": (np.uint8, ["N", 4, 5, 5])}, ["y"])
    onnx.helper.set_model_props(model, {NOTICE: "its weights are ones"})
    return model


def test_a_lowered_model_is_compared_as_it_was_given_too() -> None:
    """Whether a model counts as lowered depends on the import, not on the names of its operators."""
    x = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 5)).astype(np.uint8)
    verdict = arrayloom.verify(_qdq(), {"x": x}, "tiny", "emulator")
    assert verdict.bytes_differing == 0
    assert verdict.original_top1_equal is True
    assert verdict.original_max_abs_error is not None
    assert verdict.original_max_abs_error <= 1


def test_an_integer_model_has_no_other_original(images: np.ndarray) -> None:
    imported = import_model(digits.MODEL)
    assert not imported.is_lowered
    assert imported.lowered is imported.original
    verdict = _on_emulator(images[:1])
    assert (verdict.original_top1_equal, verdict.original_max_abs_error) == (None, None)


def test_a_fixed_batch_does_not_count_as_lowered(images: np.ndarray) -> None:
    model = onnx.load(digits.MODEL)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 2
    imported = import_model(model)
    assert not imported.is_lowered
    assert arrayloom.verify(model, {"image": images}, "tiny", "emulator").bytes_differing == 0


def test_notices_are_sentences_of_their_own() -> None:
    x = np.zeros((1, 4, 5, 5), np.uint8)
    verdict = arrayloom.verify(_qdq(), {"x": x}, "tiny", "emulator")
    assert verdict.notices == ["its weights are ones"]
    assert verdict.notes == ["notice: its weights are ones"]
    graph = import_model(_qdq()).graph
    assert (graph.notes, graph.notices) == (verdict.notes, verdict.notices)


def test_a_first_output_of_another_shape_is_not_lost_among_several_images() -> None:
    report = RunReport("emulator", 1, 1, 0.0)
    fits, other = (Verdict(1, 1, 0, None, report, {}, original_top1_equal=equal, original_max_abs_error=error)
                   for equal, error in ((True, 0.5), (False, None)))
    assert (fits.merge(other, report).original_top1_equal, fits.merge(other, report).original_max_abs_error) == (False, None)
    assert fits.merge(fits, report).original_max_abs_error == 0.5
