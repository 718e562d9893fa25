"""Putting a model in order before anything is known about its values.

Exporters and graph tools leave nodes unsorted, inputs that nothing reads, Identity nodes, and weights that several nodes
share. None of that changes what a network computes.
"""

import onnx

from arrayloom.compiler.frontend.tidy.identity import bypass_identities
from arrayloom.compiler.frontend.tidy.order import sort_model
from arrayloom.compiler.frontend.tidy.parameters import unshare_parameters
from arrayloom.compiler.frontend.tidy.ports import drop_unused_inputs, separate_outputs

__all__ = ["tidy"]


def tidy(model: onnx.ModelProto, label: str, notes: list[str]) -> onnx.ModelProto:
    """The model in order; the given one is not changed, and is returned where nothing was to do.

    Parameters
    ----------
    model
        The model, local functions inlined.
    label
        How messages call it.
    notes
        Gets a sentence about whatever a user could miss.

    Raises
    ------
    ModelError
        A value that nothing gives, or that two nodes give; nodes that feed each other; an output that no
        node computes.
    """
    model = sort_model(model, label)
    model = bypass_identities(model)
    model = drop_unused_inputs(model, notes)
    model = separate_outputs(model, label)
    return unshare_parameters(model)
