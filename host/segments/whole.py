"""Runs a whole image in one worker, as without workers."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

from arrayloom.compiler.frontend import ImportedModel
from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.host.segments.run import Moved
from arrayloom.isa.program import Program


@dataclass(frozen=True, eq=False)
class Whole:
    """A model and its program; each worker receives it once and reuses what it prepares for all images."""

    model: ImportedModel
    program: Program


def verify_image(whole: Whole, inputs: Mapping[str, NDArray[Any]], moved: Moved) -> Verdict:
    """Compares every tensor for one image; ``moved`` is called with the cycles of the RTL."""
    verifier = _verifier(whole)
    with closing(verifier.device):
        return verifier.verify(inputs, lambda snapshot: moved(snapshot.cycles or 0))


@lru_cache(1)
def _verifier(whole: Whole) -> Verifier:
    return Verifier(whole.model, whole.program, RtlDevice(whole.program.configuration))
