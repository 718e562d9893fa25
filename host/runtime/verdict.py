"""The result of a comparison with ONNX Runtime, and the comparison of values."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.host_parts import HostWork, InsertedRounding
from arrayloom.sim.compare import Comparison

Array = NDArray[Any]


@dataclass
class Verdict:
    """The result of a comparison with ONNX Runtime, over one or several images.

    Attributes
    ----------
    tensors_compared : int
        Tensors of the integer graph that were compared, for each image.
    bytes_compared, bytes_differing : int
        Sums over all images.
    first_difference : dict or None
        The first difference: ``tensor``, ``coordinate``, ``expected`` and ``got``; None if there is none.
    report : RunReport
        Cost of the runs; the sum over several images.
    outputs : dict of ndarray
        The device's outputs for the last image by name, each [1, ...].
    original_top1_equal : bool or None
        Whether the largest value of the first output is at the same place as in ONNX Runtime on the original model, for
        every image. None if the import lowered nothing.
    original_max_abs_error : float or None
        The largest difference of the first output from the original model's. None if the import lowered
        nothing, or if the shapes differ.
    notes, notices : list of str
        The program's.
    host_bytes_compared, host_bytes_differing : int
        Bytes of all results of the host's head and tail, over all images, compared with the same parts in ONNX Runtime on
        ONNX Runtime's own intermediate results.
    host : HostWork
        What the host computes in float.
    inserted_roundings : list of InsertedRounding
        Float values of the model that are quantized here.
    """

    tensors_compared: int
    bytes_compared: int
    bytes_differing: int
    first_difference: dict[str, Any] | None
    report: RunReport
    outputs: dict[str, Array]
    original_top1_equal: bool | None = None
    original_max_abs_error: float | None = None
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    host_bytes_compared: int = 0
    host_bytes_differing: int = 0
    host: HostWork = field(default_factory=HostWork)
    inserted_roundings: list[InsertedRounding] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether no byte differs, on the accelerator and on the host."""
        return not (self.bytes_differing or self.host_bytes_differing)

    def merge(self, other: "Verdict", report: RunReport) -> "Verdict":
        """This verdict and that of a further image."""
        equal, error = self.original_top1_equal, self.original_max_abs_error
        if equal is not None and other.original_top1_equal is not None:
            equal = equal and other.original_top1_equal
            errors = (error, other.original_max_abs_error)
            error = None if None in errors else max(each for each in errors if each is not None)
        return replace(
            self, bytes_compared=self.bytes_compared + other.bytes_compared,
            bytes_differing=self.bytes_differing + other.bytes_differing,
            first_difference=self.first_difference or other.first_difference, report=report, outputs=other.outputs,
            original_top1_equal=equal, original_max_abs_error=error,
            host_bytes_compared=self.host_bytes_compared + other.host_bytes_compared,
            host_bytes_differing=self.host_bytes_differing + other.host_bytes_differing)


def add_comparison(verdict: Verdict, comparison: Comparison) -> None:
    """Adds the differences between words that the POST unit wrote to the scratchpad."""
    verdict.bytes_differing += comparison.bytes_differing
    if comparison.first and not verdict.first_difference:
        verdict.first_difference = comparison.first.to_json()


def compare_memories(verdict: Verdict, expected: Array, got: Array) -> None:
    """Adds the differences between two memories after the same run, both uint8."""
    unequal = expected != got
    count = int(unequal.sum())
    verdict.bytes_differing += count
    if count and verdict.first_difference is None:
        where = int(np.argmax(unequal))
        verdict.first_difference = {"tensor": "memory", "coordinate": (where,), "expected": int(expected[where]),
                                    "got": int(got[where])}


def compare_tensor(verdict: Verdict, name: str, expected: Array, got: Array) -> None:
    """Adds one tensor to the verdict; ``expected`` from ONNX Runtime, ``got`` [C, H, W]."""
    wanted = expected.reshape(got.shape)
    verdict.bytes_compared += got.size
    unequal = wanted != got
    count = int(unequal.sum())
    verdict.bytes_differing += count
    if count and verdict.first_difference is None:
        where = tuple(int(i) for i in np.argwhere(unequal)[0])
        verdict.first_difference = {"tensor": name, "coordinate": where, "expected": int(wanted[where]),
                                    "got": int(got[where])}


def compare_host(verdict: Verdict, name: str, expected: Array, got: Array) -> None:
    """Adds one value of head or tail to the verdict."""
    verdict.host_bytes_compared += expected.nbytes
    count = _unequal_bytes(expected, got)
    verdict.host_bytes_differing += count
    if count and verdict.first_difference is None:
        same = expected.shape == got.shape
        where = tuple(int(i) for i in np.argwhere(expected != got)[0]) if same and (expected != got).any() else ()
        verdict.first_difference = {"tensor": name, "coordinate": where,
                                    "expected": expected[where].item() if where else list(expected.shape),
                                    "got": got[where].item() if where else list(got.shape)}


def _unequal_bytes(expected: Array, got: Array) -> int:
    """The number of differing bytes of a host value; all if shape or dtype differs."""
    if expected.shape != got.shape or expected.dtype != got.dtype:
        return max(expected.nbytes, got.nbytes, 1)
    first, second = (np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8) for values in (expected, got))
    return int(np.count_nonzero(first != second))
