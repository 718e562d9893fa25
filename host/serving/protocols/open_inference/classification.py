"""The Open Inference Protocol's ``classification``: the best classes of an output as strings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.core.errors import Kind, ServiceError
from arrayloom.host.serving.core.model import Model
from arrayloom.host.serving.protocols.open_inference.tensors import strings

Array = NDArray[Any]


def classify(values: Array, count: Any, model: Model) -> Array:
    """[N, ...] to an object array [N, min(count, classes)] of ``value:index:label``, the largest first.

    The label stands only where the model has labels. Raises ``ServiceError`` for a count that is none.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ServiceError(Kind.INVALID, f"classification {str(count)[:100]}: must be the number of classes wanted, from 1")
    flat = values.reshape(len(values), -1)
    best = np.argsort(-flat.astype(np.float64), axis=1, kind="stable")[:, :count]
    entries = [_entry(row[index], int(index), model.labels) for row, chosen in zip(flat, best, strict=True)
               for index in chosen]
    return strings(entries).reshape(best.shape)


def _entry(value: Any, index: int, labels: tuple[str, ...] | None) -> bytes:
    label = f":{labels[index]}" if labels is not None and index < len(labels) else ""
    return f"{value:f}:{index}{label}".encode()
