"""The whole accelerator under cocotb: programs, a network, and every kind of fault."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from board_checks import CHECKS
from board_faults import FAULTS

from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.digits import IMAGES, MODEL
from arrayloom.host.runtime.boundary import apply_tail, to_integers
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import PRESETS

TRAFFIC: dict[str, dict[str, Any]] = {
    "at full speed": {},
    "with pauses": {"pause": 0.4},
    "with pauses, late and mixed words": {"pause": 0.2, "delay": 0.03, "mixed": True},
}
ROUGH = {"pause": 0.1, "delay": 0.01, "mixed": True}

RunBench = Callable[..., None]


@pytest.mark.parametrize("kind", TRAFFIC)
def test_random_programs_do_what_the_emulator_does(board_simulator: Path, bench: RunBench, kind: str) -> None:
    seed = list(TRAFFIC).index(kind)
    bench(board_simulator, "bench_board", "programs", seed, seeds=list(range(4 * seed, 4 * seed + 4)),
          traffic=TRAFFIC[kind] | {"seed": seed})


@pytest.mark.parametrize("name", CHECKS)
def test_control(board_simulator: Path, bench: RunBench, name: str) -> None:
    # Without its tokens a program reads words while they are written, which the assertions must detect.
    bench(board_simulator, "bench_board", "check", 11, name != "misordered_anywhere", name=name,
          traffic=ROUGH | {"seed": 11})


@pytest.mark.parametrize("group", FAULTS)
def test_every_fault_ends_in_the_status_register_with_its_cause(board_simulator: Path, bench: RunBench,
                                                               group: str) -> None:
    bench(board_simulator, "bench_board", "faults", 12, group=group, traffic=ROUGH | {"seed": 12})


@pytest.mark.parametrize("test", ["registers", "dead_memory"])
def test_what_only_a_bench_can_do(board_simulator: Path, bench: RunBench, test: str) -> None:
    bench(board_simulator, "bench_board", test, 13, traffic=ROUGH | {"seed": 13})


def test_the_digits_network(board_simulator: Path, bench: RunBench, tmp_path: Path) -> None:
    """Every write and every output equals the emulator's, and the logits equal ONNX Runtime's."""
    program = compile_model(MODEL, PRESETS["tiny"])
    program.save(tmp_path / "digits.loom")
    (source,), (output,) = program.inputs, program.outputs
    image = preprocess(sorted(IMAGES.iterdir())[7], "digits", ("N", *source.shape), np.dtype(np.float32))
    np.savez(tmp_path / "inputs.npz", **{source.name: to_integers(image, source)[0]})
    bench(board_simulator, "bench_board", "network", 14, traffic={"pause": 0.15, "mixed": True, "seed": 14},
          program=str(tmp_path / "digits.loom"), inputs=str(tmp_path / "inputs.npz"))
    with np.load(tmp_path / "outputs.npz") as outputs:
        logits = apply_tail(outputs[output.name][None], output)
    assert (logits == Session(onnx.load(MODEL)).run({source.name: image})[output.name]).all()
