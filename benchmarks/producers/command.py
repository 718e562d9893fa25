"""The command line shared by the scripts."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.producers.arguments import chosen, write_each
from benchmarks.producers.networks import NETWORKS


def run(description: str | None, write: Callable[[str, Path], None]) -> None:
    """Write all networks, or those named by --only, without the producer's warnings."""
    folder, names = chosen(description, NETWORKS)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    write_each(names, folder, write)
