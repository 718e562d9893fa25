"""Transfer learning: a classifier of one's own behind the features of a network."""

from arrayloom.host.head.data import Examples, load_examples
from arrayloom.host.head.errors import HeadError
from arrayloom.host.head.head import Head
from arrayloom.host.head.train import Trained, train_head

__all__ = ["Examples", "Head", "HeadError", "Trained", "load_examples", "train_head"]
