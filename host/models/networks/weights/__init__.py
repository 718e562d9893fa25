"""Where the values of a network's parameters come from: a file of the user's, or a seed."""

from arrayloom.host.networks.weights.files import FORMATS, Weights, read_weights
from arrayloom.host.networks.weights.fit import fit
from arrayloom.host.networks.weights.pictures import pictures
from arrayloom.host.networks.weights.seeded import seeded_weights

__all__ = ["FORMATS", "Weights", "fit", "pictures", "read_weights", "seeded_weights"]
