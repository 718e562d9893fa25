"""The options that say over which processes and machines a command spreads its work."""

import argparse

from arrayloom.host.pool.local import LocalWorkers
from arrayloom.host.pool.task import Workers


def add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, metavar="N", help="spread the work over N processes of this machine")


def workers_of(options: argparse.Namespace) -> Workers | None:
    """Where the options of ``add_workers`` want the work done; None for this process. Raises ``PoolError``."""
    return None if options.workers is None else LocalWorkers(options.workers)
