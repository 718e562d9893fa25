"""Whether weights fit a network, by name and shape."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.networks.architectures import Blueprint
from arrayloom.host.models.networks.errors import WeightsError

COUNTERS = ".num_batches_tracked"
"""Suffix of what torch counts while training and no network computes with."""

LISTED = 8
"""Parameters that a message names."""

# The file behind torchvision's DenseNet is older than its modules' names; torchvision renames on loading too.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12])\.(weight|bias|running_mean|running_var)$")


def fit(blueprint: Blueprint, values: Mapping[str, NDArray[Any]], source: str) -> dict[str, NDArray[np.float32]]:
    """The network's parameters out of ``values``, as float32.

    Raises ``WeightsError`` naming ``source`` and each parameter that is missing, has another shape (both are given), is
    unknown to the network, or holds NaN or infinity.
    """
    found = {_OLD_DENSENET.sub(r"\1\2.\3", name): value for name, value in values.items() if not name.endswith(COUNTERS)}
    faults = [*_misfits(blueprint, found), *(f"{name} {list(found[name].shape)} is not a parameter of the network"
                                            for name in found if name not in blueprint.parameters)]
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        raise WeightsError(f"{source}: does not fit {blueprint.name}: {'; '.join(faults[:LISTED])}{more}. "
                           f"Give the state_dict of torchvision's model of that name, with the same number of classes")
    return {name: np.asarray(found[name], np.float32) for name in blueprint.parameters}


def _misfits(blueprint: Blueprint, found: Mapping[str, NDArray[Any]]) -> list[str]:
    faults = []
    for name, shape in blueprint.parameters.items():
        if name not in found:
            faults.append(f"{name} {list(shape)} is missing")
        elif tuple(found[name].shape) != shape:
            faults.append(f"{name} has shape {list(found[name].shape)} in the file and {list(shape)} in the network")
        elif not np.issubdtype(found[name].dtype, np.floating):
            faults.append(f"{name} has dtype {found[name].dtype}, not a float one")
        elif not np.isfinite(found[name]).all():
            faults.append(f"{name} holds NaN or infinity")
    return faults
