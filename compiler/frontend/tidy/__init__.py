"""Normalizes a model before anything is known about its values.

Exporters and graph tools create unsorted nodes, unused inputs, Identity nodes, and weights that several nodes share.
Removing these does not change what a network computes.
"""

import onnx

from arrayloom.compiler.frontend.tidy.identity import bypass_identities
from arrayloom.compiler.frontend.tidy.order import sort_model
from arrayloom.compiler.frontend.tidy.parameters import unshare_parameters
from arrayloom.compiler.frontend.tidy.ports import drop_unused_inputs, separate_outputs

__all__ = ["tidy"]


def tidy(model: onnx.ModelProto, label: str, notes: list[str]) -> onnx.ModelProto:
    """Returns the normalized model; the given model is not changed, and is returned if it is already normalized.

    Parameters
    ----------
    model
        The model, with local functions inlined.
    label
        The term for the model in messages.
    notes
        Receives a sentence about each removed part that a user could miss.

    Raises
    ------
    ModelError
        No node or several nodes produce a value, nodes depend on their own results, or an output is not computed.
    """
    model = sort_model(model, label)
    model = bypass_identities(model)
    model = drop_unused_inputs(model, notes)
    model = separate_outputs(model, label)
    return unshare_parameters(model)
