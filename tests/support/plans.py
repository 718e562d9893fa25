"""Comparison of a plan with the emulator: the same words after every step, and the same final memory."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.image import build_memory, write_inputs
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture, Emulator
from arrayloom.sim.plan import Library, Plan
from arrayloom.sim.plan.steps import State, Step


def random_integers(program: Program, images: int, seed: int = 0) -> dict[str, NDArray[np.integer]]:
    """A batch for the accelerator's inputs, uniformly distributed bytes."""
    rng = np.random.default_rng(seed)
    return {port.name: rng.integers(0, 256, (images, *port.shape)).astype(np.uint8).view(port.slot.dtype)
            for port in program.inputs}


def assert_plan_equals_emulator(program: Program, inputs: Mapping[str, NDArray[np.integer]],
                                library: Library = Library.ONNXRUNTIME, threads: int = 1) -> Plan:
    """Compares the writes of each POST instruction for each image as soon as the plan has executed it, then the memory.

    ``inputs``: integers by name, [N, ...] each; N images per pass.
    """
    count = len(next(iter(inputs.values())))
    captures, memories = zip(*(_emulated(program, {name: values[n] for name, values in inputs.items()})
                               for n in range(count)), strict=True)
    wanted = [{index: _last_words(addresses, words) for index, addresses, words in capture.writes} for capture in captures]
    seen: list[int] = []
    final: list[State] = []

    def compare(step: Step, state: State) -> None:
        seen.extend(step.instructions)
        for image, writes in enumerate(wanted):
            for index in [index for index in step.instructions if index in writes]:
                addresses, words = writes[index]
                assert np.array_equal(state.bytes[image, addresses], words), f"image {image}, instruction {index}"
        final[:] = [state]

    plan = Plan(program, library, threads)
    assert count <= plan.images
    plan.run({name: ~values for name, values in inputs.items()}, program.outputs)      # a previous run may leave data here
    plan.run(inputs, program.outputs, compare)
    assert set(wanted[0]) <= set(seen)
    assert len(set(seen)) == len(seen)
    for image, memory in enumerate(memories if final else ()):
        first, last = plan.memory_words
        left = final[0].bytes[image, first:last].ravel().view(np.uint8)
        assert np.array_equal(left, memory[len(memory) - len(left):]), f"image {image}: memory"
    plan.close()
    return plan


def _emulated(program: Program, image: Mapping[str, NDArray[np.integer]]) -> tuple[Capture, NDArray[np.uint8]]:
    memory = build_memory(program)
    write_inputs(memory, program, image)
    emulator = Emulator(program, program.configuration)
    emulator.execute(memory, capture=True)
    return emulator.capture, memory


def _last_words(addresses: NDArray[np.int64], words: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """The last value of each word that one instruction writes more than once."""
    unique, last = np.unique(addresses[::-1], return_index=True)
    return unique, words.reshape(-1, words.shape[-1])[::-1][last]
