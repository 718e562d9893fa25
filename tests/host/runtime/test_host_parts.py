"""Networks with a head and a tail on the host: sessions and verification against ONNX Runtime on the whole model."""

import dataclasses
from pathlib import Path
from typing import Any

import host_parts
import numpy as np
import onnx
import pytest
from host_parts import ANY, float_classifier, head_and_tail, pictures, suppressed
from numpy.typing import NDArray
from PIL import Image

from arrayloom import ImportOptions, Session, verify
from arrayloom.compiler import compile_graph, compile_model
from arrayloom.compiler.errors import CompileError, UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, import_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.session import load_program
from arrayloom.host.runtime.verify import Verifier, verify_files
from arrayloom.host.vision import RecipeError
from arrayloom.isa.config import load_config
from arrayloom.isa.host_parts import HostPart, HostWork

Array = NDArray[Any]
TINY = load_config("tiny")


def _images(count: int, seed: int = 0) -> dict[str, Array]:
    return {"image": np.random.default_rng(seed).random((count, 3, 8, 8), np.float32)}


def _tampered(work: HostWork) -> HostWork:
    """The same tail with a Relu in place of its Exp."""
    assert work.tail is not None
    model = onnx.ModelProto.FromString(work.tail.model)
    next(node for node in model.graph.node if node.op_type == "Exp").op_type = "Relu"
    return dataclasses.replace(work, tail=HostPart(model.SerializeToString(), work.tail.nodes))


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_batch_of_pictures_becomes_boxes_and_scores(channels_last: bool) -> None:
    model, batch = head_and_tail(channels_last=channels_last), {"picture": pictures(3, 1, channels_last)}
    with Session(model, "tiny", "emulator") as session:
        outputs = session.run(batch)
        assert session.report.host_seconds > 0
        assert session.report.wall_seconds > session.report.host_seconds
    assert list(outputs) == ["boxes", "scores"]
    for name, values in Reference(model).run(batch).items():
        np.testing.assert_array_equal(outputs[name], values)


def test_outputs_whose_size_the_picture_decides() -> None:
    model = suppressed()
    with Session(model, "tiny", "emulator") as session:
        for seed in range(3):
            image = _images(1, seed)
            np.testing.assert_array_equal(session.run(image)["kept"], Reference(model).run(image)["kept"])
        with pytest.raises(InputError, match=r"output 'kept': its size is not one image's.*give one image at a time"):
            session.run(_images(2))


@pytest.mark.parametrize("backend", ["emulator", "rtl"])
def test_verification_counts_the_bytes_of_the_host(backend: str) -> None:
    verdict = verify(head_and_tail(), {"picture": pictures(2)}, "tiny", backend)
    # The head makes [3, 8, 8], the tail [64, 4] and [64, 2], at 4 bytes per element, for each of two images.
    assert (verdict.host_bytes_compared, verdict.host_bytes_differing) == (2 * 4 * (192 + 256 + 128), 0)
    assert (verdict.bytes_differing, verdict.equal, verdict.first_difference) == (0, True, None)
    assert verdict.original_max_abs_error == 0
    assert [node.op for node in verdict.host.parts["tail"].nodes] == ["Concat", "Split", "Exp", "Sigmoid"]


def test_verification_finds_a_tail_that_computes_something_else() -> None:
    imported = import_model(head_and_tail())
    program = compile_graph(imported.graph, TINY)
    program.host = _tampered(program.host)
    verdict = Verifier(imported, program, open_device("emulator", TINY)).verify({"picture": pictures(1)})
    assert verdict.bytes_differing == 0
    assert 0 < verdict.host_bytes_differing <= 1024
    assert not verdict.equal
    assert verdict.first_difference is not None
    assert verdict.first_difference["tensor"] == "boxes"


def test_the_reference_goes_through_head_integers_and_tail() -> None:
    model, batch = head_and_tail(), {"picture": pictures(3)}
    found = ModelReference(import_model(model)).run(batch)
    for name, values in Reference(model).run(batch).items():
        np.testing.assert_array_equal(found[name], values)


def test_what_may_lie_on_the_host_is_the_callers_choice() -> None:
    with pytest.raises(UnsupportedError, match="logits"):
        Session(float_classifier(), "tiny", "emulator")
    with pytest.raises(UnsupportedError, match="node_cast"):
        Session(head_and_tail(), "tiny", "emulator", host="none")
    batch = _images(2)
    with Session(float_classifier(), "tiny", "emulator", host="any") as session:
        logits = session.run(batch)["logits"]
        assert session.program.host.macs == 8 * 64 * 10
    np.testing.assert_array_equal(logits, Reference(float_classifier()).run(batch)["logits"])


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(CompileError, match="host 'most': unknown; known are none, small, any"):
        Session(head_and_tail(), "tiny", "emulator", host="most")
    assert ImportOptions("any") == ImportOptions(HostPolicy.ANY)    # type: ignore[arg-type]
    assert (repr(ImportOptions()), repr(ANY)) == ("ImportOptions()", "ImportOptions(host='any')")


def test_a_program_takes_no_options_of_compiling(tmp_path: Path) -> None:
    program = compile_model(digits.MODEL, "tiny")
    program.save(tmp_path / "digits.loom")
    for source in (program, tmp_path / "digits.loom"):
        with pytest.raises(InputError, match="was chosen when it was compiled; leave these options out"):
            load_program(source, options=ANY)


def test_inputs_are_checked_as_the_model_takes_them() -> None:
    with Session(head_and_tail(), "tiny", "emulator") as session:
        with pytest.raises(InputError, match="input 'picture': dtype float32 given, uint8 wanted"):
            session.run({"picture": pictures(1).astype(np.float32)})
        with pytest.raises(InputError, match=r"shape \[1, 8, 8, 3\] given, \[N, 3, 8, 8\] wanted"):
            session.run({"picture": pictures(1, channels_last=True)})
        with pytest.raises(InputError, match="input 'picture' is missing"):
            session.run({"centred": pictures(1)})


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_picture_file_becomes_pixels_of_the_models_own_input(tmp_path: Path, channels_last: bool) -> None:
    pixels = pictures(1, 5, channels_last=True)[0]
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    ports = compile_model(head_and_tail(channels_last=channels_last), "tiny").model_inputs
    loaded = load_inputs(tmp_path / "picture.png", ports, "none")["picture"]
    np.testing.assert_array_equal(loaded[0], pixels if channels_last else pixels.transpose(2, 0, 1))
    assert loaded.dtype == np.uint8
    with pytest.raises(RecipeError, match="a uint8 or int8 input takes a recipe of pixels: none, yolo"):
        load_inputs(tmp_path / "picture.png", ports, "imagenet")
    model = head_and_tail(channels_last=channels_last)
    assert verify_files(model, [tmp_path / "picture.png"], "none", "tiny", "emulator").equal


def test_a_tail_that_no_program_may_hold_is_refused_when_it_is_compiled() -> None:
    graph = import_model(head_and_tail()).graph
    graph.host = _with_operator(graph.host, "Loop")
    with pytest.raises(CompileError, match="the host's tail: Loop 'node_boxes': the host does not compute that"):
        compile_graph(graph, TINY)


def _with_operator(work: HostWork, operator: str) -> HostWork:
    changed = _tampered(work)
    assert changed.tail is not None
    model = onnx.ModelProto.FromString(changed.tail.model)
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = operator
    return dataclasses.replace(work, tail=HostPart(model.SerializeToString(), changed.tail.nodes))


def test_hostile_values_of_a_file_end_in_errors() -> None:
    """A tail whose output has a dtype other than the declared one."""
    program = compile_model(host_parts.head_and_tail(), TINY)
    program.model_outputs = [dataclasses.replace(port, dtype="int64") for port in program.model_outputs]
    with Session(program, device=open_device("emulator", TINY)) as session, \
            pytest.raises(InputError, match="output 'boxes': the host computes float32, but the program says int64"):
        session.run({"picture": pictures(1)})
