"""The command line that the scripts share."""

import argparse
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.producers.networks import NETWORKS


def run(description: str | None, write: Callable[[str, Path], None]) -> None:
    """Write all networks to the folder given, or those that --only names; what the producer refuses is told and left out."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=sorted(NETWORKS), default=sorted(NETWORKS), metavar="NAME")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    for name in given.only:
        try:
            write(name, given.folder)
        except Exception as error:  # whatever the producer cannot do is not ours to run
            print(f"{name}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}", flush=True)
        else:
            print(name, flush=True)
