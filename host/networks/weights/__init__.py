"""Where the values of a network's parameters come from: a file of the user's, or a seed."""

from host.networks.weights.files import FORMATS, Weights, read_weights
from host.networks.weights.fit import fit
from host.networks.weights.pictures import pictures
from host.networks.weights.seeded import seeded_weights

__all__ = ["FORMATS", "Weights", "fit", "pictures", "read_weights", "seeded_weights"]
