"""The parts of a network that ONNX Runtime computes on the host in float: a head before the accelerator, a tail after it.

Both run image by image, because a tail may contain shapes for a batch of one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.host_parts import HostPart, HostWork, ModelPort

Array = NDArray[Any]
Values = dict[str, Array]
"""Values of one image by name, each [1, ...] unless a part changes the size."""


class Runner(Protocol):
    """Computes the values of a part."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]: ...

    @property
    def inputs(self) -> Sequence[str]: ...


class HostParts:
    """Head and tail, ready to run; either may be missing.

    Raises ``SessionError`` if ONNX Runtime refuses a part, or a value given to it.
    """

    def __init__(self, work: HostWork) -> None:
        self._head, self._tail = _runner(work.head), _runner(work.tail)

    def before(self, inputs: Mapping[str, Array]) -> list[Values]:
        """For each image of a batch, [N, ...] by name: the model's inputs and the head's results."""
        count = len(next(iter(inputs.values())))
        return [self.head({name: values[index:index + 1] for name, values in inputs.items()}) for index in range(count)]

    def head(self, image: Values) -> Values:
        """The values of one image, with the head's results added."""
        return image | run_part(self._head, image)

    def tail(self, image: Values) -> Values:
        """The values of one image, with the tail's results added."""
        return image | run_part(self._tail, image)

    def after(self, images: Sequence[Values], outputs: Mapping[str, Array], wanted: Sequence[ModelPort]) -> dict[str, Array]:
        """The ``wanted`` values by name, from the accelerator's ``outputs``, [N, ...], and the tail's results.

        ``images``: the result of ``before``. Raises ``InputError`` for an output whose size is not the same for all images.
        """
        ended = [self.tail(image | {name: values[index:index + 1] for name, values in outputs.items()})
                 for index, image in enumerate(images)]
        return join_images(ended, wanted)


def run_part(part: Runner | None, values: Values) -> Values:
    """A part's results for the values that it reads; empty if there is no part."""
    return part.run({name: values[name] for name in part.inputs}) if part else {}


def _runner(part: HostPart | None) -> Session | None:
    return Session(onnx.ModelProto.FromString(part.model)) if part else None


def join_images(images: Sequence[Values], wanted: Sequence[ModelPort]) -> dict[str, Array]:
    """The values of the wanted ports for several images, as batches.

    Raises ``InputError`` for a value whose size is not that of one image, or not the same for all images.
    """
    return {port.name: _joined(port, [values[port.name] for values in images]) for port in wanted}


def _joined(port: ModelPort, found: Sequence[Array]) -> Array:
    """One value for all images, as a batch."""
    if any(values.dtype != port.dtype for values in found):
        raise InputError(f"output {port.name!r}: the host computes {found[0].dtype}, but the program says {port.dtype}")
    if len(found) == 1:
        return found[0]
    shapes = {values.shape for values in found}
    if len(shapes) > 1 or found[0].shape[:1] != (1,):
        shown = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
        raise InputError(f"output {port.name!r}: its size is not one image's, or not the same for all ({shown}), so "
                         "several images have no common array; give one image at a time")
    return np.concatenate(found)
