"""Sessions from Python: batches, features, threads, and refusals."""

import threading

import numpy as np
import onnx
import pytest

from arrayloom import Session
from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import EmulatorDevice, open_device
from arrayloom.host.runtime.errors import DeviceError, InputError, SessionBusyError
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import load_config
from arrayloom.isa.program import ProgramError


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.concatenate([preprocess(path, "digits") for path in sorted(digits.IMAGES.glob("*.png"))])


@pytest.mark.parametrize("backend", ["emulator", "rtl"])
def test_a_batch_equals_onnx_runtime(images: np.ndarray, backend: str) -> None:
    count = 10 if backend == "emulator" else 2
    with Session(digits.MODEL, config="tiny", backend=backend) as session:
        outputs = session.run({"image": images[:count]})
        assert session.report.macs == count * session.program.macs
    expected = Reference(onnx.load(digits.MODEL)).run({"image": images[:count]})
    np.testing.assert_array_equal(outputs["logits"], expected["logits"])


def test_features_are_the_tensor_before_the_classifier(images: np.ndarray) -> None:
    model = onnx.load(digits.MODEL)
    classifier = next(node for node in model.graph.node if node.op_type == "QGemm")
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scale, zero = (constants[classifier.input[i]].item() for i in (1, 2))
    expected = Reference(model).run_all({"image": images[:1]})[classifier.input[0]]
    with Session(digits.MODEL, config="tiny", backend="emulator") as session:
        features = session.features({"image": images[:1]})
    np.testing.assert_array_equal(features.integers.reshape(-1), expected.reshape(-1))
    np.testing.assert_array_equal(features.values.reshape(-1),
                                  (expected.reshape(-1).astype(np.int32) - zero).astype(np.float32) * np.float32(scale))


def test_sources_are_alike(images: np.ndarray, tmp_path: object) -> None:
    program = compile_model(digits.MODEL, config="tiny")
    path = tmp_path / "digits.loom"  # type: ignore[operator]
    program.save(path)
    results = []
    for source in (digits.MODEL, str(digits.MODEL), onnx.load(digits.MODEL), program, path):
        with Session(source, config=load_config("tiny"), backend="emulator") as session:
            results.append(session.run({"image": images[:1]})["logits"])
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_second_thread_is_refused(images: np.ndarray) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(EmulatorDevice):
        def execute(self, *arguments: object) -> object:  # type: ignore[override]
            entered.set()
            leave.wait(10)
            return super().execute(*arguments)  # type: ignore[arg-type]

    session = Session(digits.MODEL, config="tiny", device=Slow(load_config("tiny")))
    worker = threading.Thread(target=session.run, args=({"image": images[:1]},))
    worker.start()
    assert entered.wait(10)
    with pytest.raises(SessionBusyError, match="give each thread a session of its own"):
        session.run({"image": images[:1]})
    leave.set()
    worker.join()
    assert session.run({"image": images[:1]})["logits"].shape == (1, 10)


def test_what_is_refused() -> None:
    with pytest.raises(DeviceError, match="backend 'fpga': unknown"):
        open_device("fpga", load_config("tiny"))
    program = compile_model(digits.MODEL, config="tiny")
    with pytest.raises(ProgramError, match=r"compiled for configuration tiny .* not for 16x16"):
        Session(program, config="16x16", backend="emulator")
    with Session(program, config="tiny", backend="emulator") as session, pytest.raises(InputError, match="is missing"):
        session.run({})


def test_no_features_without_a_classifier() -> None:
    program = compile_model(digits.MODEL, config="tiny")
    program.features = None
    with Session(program, config="tiny", backend="emulator") as session, \
            pytest.raises(DeviceError, match="no classifier ends it"):
        session.features({"image": np.zeros((1, 1, 8, 8), np.float32)})
