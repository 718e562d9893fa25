"""The options that say over which processes and machines a command spreads its work."""

import argparse

from arrayloom.host.pool.local import LocalWorkers
from arrayloom.host.pool.ray_workers import RayWorkers
from arrayloom.host.pool.task import Workers


def add_workers(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="spread the work over N processes of this machine")
    where.add_argument("--ray", metavar="HOST:PORT|auto",
                       help="spread the work over a Ray cluster; needs the extra arrayloom[ray]")


def workers_of(options: argparse.Namespace) -> Workers | None:
    """Where the options of ``add_workers`` want the work done; None for this process. Raises ``PoolError``."""
    if options.ray is not None:
        return RayWorkers(options.ray)
    return None if options.workers is None else LocalWorkers(options.workers)
