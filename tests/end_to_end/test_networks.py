"""Whole networks against ONNX Runtime at every tensor, on every backend."""

from pathlib import Path

import numpy as np
import pytest

from arrayloom.host.models import digits
from arrayloom.host.runtime import verify
from arrayloom.host.runtime.verify import verify_files

CIFAR_IMAGE = 3


@pytest.fixture(scope="session")
def cifar_inputs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One CIFAR-10 image as the float input of ResNet-20 and as the int8 input of ResNet-8."""
    folder = tmp_path_factory.mktemp("cifar")
    image = np.load(shared_data / "cifar10_lossless_130.npz")["x_uint8_nhwc"][CIFAR_IMAGE]
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    floats = ((image.astype(np.float32) / np.float32(255) - mean) / std).transpose(2, 0, 1)
    np.save(folder / "float.npy", floats[None])
    np.save(folder / "int8.npy", (image.transpose(2, 0, 1)[None].astype(np.int16) - 128).astype(np.int8))
    return {"float": folder / "float.npy", "int8": folder / "int8.npy"}


def _verify(model: Path, file: Path, recipe: str | None, config: str, backend: str, macs: int) -> None:
    verdict = verify_files(model, [file], recipe, config, backend)
    assert verdict.first_difference is None
    assert verdict.bytes_differing == 0
    assert verdict.tensors_compared > 10
    assert verdict.report.macs == macs
    if verdict.original_top1_equal is not None:
        assert verdict.original_top1_equal
    if backend == "rtl":
        assert verdict.report.counters is not None
        for unit, causes in verdict.report.counters.items():
            assert sum(causes.values()) == verdict.report.cycles, unit


@pytest.mark.parametrize("backend", ["emulator", "rtl"])
@pytest.mark.parametrize("config", ["tiny", "16x16"])
def test_digits(config: str, backend: str) -> None:
    _verify(digits.MODEL, digits.IMAGES / "digit_3_0705.png", "digits", config, backend, 828_736)


@pytest.mark.parametrize("backend", ["emulator", "rtl"])
@pytest.mark.parametrize("config", ["tiny", "16x16"])
@pytest.mark.parametrize(("model", "kind", "macs"), [
    ("resnet20_cifar10_int8_qop", "float", 40_551_040),
    ("resnet20_cifar10_int8_qdq", "float", 40_551_040),
    ("mlperf_tiny_resnet8_int8_qdq", "int8", 12_501_632),
])
def test_cifar_networks(shared_data: Path, cifar_inputs: dict[str, Path], model: str, kind: str, macs: int, config: str,
                        backend: str) -> None:
    _verify(shared_data / "models" / f"{model}.onnx", cifar_inputs[kind], None, config, backend, macs)


IMAGENET = [("squeezenet1.0_int8_qop", "imagenet-caffe", 861_339_936), ("resnet18_int8_qop", "imagenet", 1_814_073_344)]


@pytest.mark.parametrize("backend", ["emulator", "rtl"])
@pytest.mark.parametrize(("model", "recipe", "macs"), IMAGENET)
def test_imagenet_networks(shared_data: Path, model: str, recipe: str, macs: int, backend: str) -> None:
    _verify(shared_data / "models" / f"{model}.onnx", shared_data / "images" / "owl.jpg", recipe, "16x16", backend, macs)


@pytest.mark.parametrize("config", ["16x16", "32x32", "64x64"])
def test_resnet50_on_the_emulator(shared_data: Path, config: str) -> None:
    _verify(shared_data / "models" / "resnet50_int8_qop.onnx", shared_data / "images" / "snowleopardgaze.jpg", "imagenet",
            config, "emulator", 4_089_184_256)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["16x16", "32x32", "64x64"])
def test_resnet50_on_the_rtl(shared_data: Path, config: str) -> None:
    _verify(shared_data / "models" / "resnet50_int8_qop.onnx", shared_data / "images" / "snowleopardgaze.jpg", "imagenet",
            config, "rtl", 4_089_184_256)


def test_differences_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed weight in the program is reported at its tensor: the comparison can fail."""
    genuine = verify.compile_graph

    def tampered(graph: object, config: object) -> object:
        program = genuine(graph, config)  # type: ignore[arg-type]
        program.constants = program.constants.copy()
        program.constants[::7] ^= 0x10
        return program

    monkeypatch.setattr(verify, "compile_graph", tampered)
    verdict = verify_files(digits.MODEL, [digits.IMAGES / "digit_3_0705.png"], "digits", "tiny", "emulator")
    assert verdict.bytes_differing > 0
    assert verdict.first_difference is not None
    assert set(verdict.first_difference) == {"tensor", "coordinate", "expected", "got"}
