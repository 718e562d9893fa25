"""Transfer learning: a classifier of one's own behind the features of a network."""

from arrayloom.host.models.heads.data import Examples, load_examples
from arrayloom.host.models.heads.errors import HeadError
from arrayloom.host.models.heads.head import Head
from arrayloom.host.models.heads.train import Trained, train_head

__all__ = ["Examples", "Head", "HeadError", "Trained", "load_examples", "train_head"]
