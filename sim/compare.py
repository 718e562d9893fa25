"""Comparison of emulator and RTL at every word that the POST unit writes, in order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture


@dataclass(frozen=True)
class Divergence:
    """The first place where two executions differ.

    ``instruction`` is an index into the program and ``tensor``, ``coordinate`` (channel, row, column) say what stands
    there, None where no tensor of the graph does; ``expected`` and ``got`` are signed bytes of the device.
    """

    instruction: int
    text: str
    tensor: str | None
    coordinate: tuple[int, int, int] | None
    expected: int | None
    got: int | None

    def __str__(self) -> str:
        where = f"tensor {self.tensor!r} at {self.coordinate}" if self.tensor else "no tensor of the graph"
        return (f"first difference at instruction {self.instruction} ({self.text}): {where}: "
                f"emulator {self.expected}, RTL {self.got}")

    def to_json(self) -> dict[str, Any]:
        return {"instruction": self.instruction, "text": self.text, "tensor": self.tensor,
                "coordinate": self.coordinate, "expected": self.expected, "got": self.got}


@dataclass(frozen=True)
class Comparison:
    """``bytes_compared`` and ``bytes_differing`` over all words; missing or surplus words differ in every byte."""

    bytes_compared: int
    bytes_differing: int
    first: Divergence | None


def written_words(capture: Capture, size: int) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
    """The words that the emulator's POST unit wrote, in order: addresses [n], and words [n, size]."""
    addresses = np.concatenate([np.zeros(0, np.int64), *(write[1] for write in capture.writes)])
    words = np.concatenate([np.zeros((0, size), np.int8), *(write[2] for write in capture.writes)])
    return addresses.astype(np.uint32), words


def compare_writes(program: Program, capture: Capture, addresses: NDArray[np.integer],
                   words: NDArray[np.int8]) -> Comparison:
    """Compares the emulator's writes with the RTL's ``addresses`` [n] and ``words`` [n, size]."""
    size = words.shape[1]
    expected_addresses, expected = written_words(capture, size)
    common = min(len(expected), len(words))
    unequal = expected[:common] != words[:common]
    unequal |= (expected_addresses[:common] != addresses[:common])[:, None]
    surplus = abs(len(expected) - len(words)) * size
    differing = int(unequal.sum()) + surplus
    first = None
    if differing:
        rows = np.flatnonzero(unequal.any(1))
        index = int(rows[0]) if len(rows) else common
        first = _locate(program, capture, index, expected, words)
    return Comparison(max(len(expected), len(words)) * size, differing, first)


def _locate(program: Program, capture: Capture, index: int, expected: NDArray[np.int8],
            got: NDArray[np.int8]) -> Divergence:
    start = 0
    instructions = list(program)
    for instruction, addresses, _ in capture.writes:
        if index < start + len(addresses):
            lane = _lane(expected, got, index)
            tensor, coordinate = place_of(program, capture, instruction, index - start, lane)
            value = int(got[index, lane]) if index < len(got) else None
            return Divergence(instruction, str(instructions[instruction]), tensor, coordinate,
                              int(expected[index, lane]), value)
        start += len(addresses)
    return Divergence(len(instructions) - 1, "after the last write", None, None, None, int(got[index, 0]))


def _lane(expected: NDArray[np.int8], got: NDArray[np.int8], index: int) -> int:
    if index >= len(got):
        return 0
    lanes = np.flatnonzero(expected[index] != got[index])
    return int(lanes[0]) if len(lanes) else 0


def place_of(program: Program, capture: Capture, instruction: int, pixel: int,
             lane: int) -> tuple[str | None, tuple[int, int, int] | None]:
    """The tensor and the coordinate of a byte that a POST instruction wrote, None where it is of no tensor of the graph."""
    results = capture.results[instruction]
    final = list(results)[-1]
    probe = next((probe for probe in program.probes.get(instruction, ()) if probe.stage == final), None)
    if probe is None:
        return None, None
    layout = program.layouts[probe.tensor]
    row, column = divmod(pixel, results[final].shape[1])
    places = np.flatnonzero(layout.slots() == probe.block * layout.size + lane)
    pixel_there, channel = divmod(int(places[0]), layout.channels) if len(places) else (0, -1)
    return probe.tensor, (channel, probe.y + row, (probe.x + column) * layout.pixels + pixel_there)
