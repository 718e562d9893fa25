"""Where the values of a network's parameters come from: a file of the user's, or a seed."""

from arrayloom.host.models.networks.weights.files import FORMATS, Weights, read_weights
from arrayloom.host.models.networks.weights.fit import fit
from arrayloom.host.models.networks.weights.pictures import pictures
from arrayloom.host.models.networks.weights.seeded import seeded_weights

__all__ = ["FORMATS", "Weights", "fit", "pictures", "read_weights", "seeded_weights"]
