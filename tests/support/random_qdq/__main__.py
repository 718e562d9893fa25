"""Checks many random networks and prints the failures, those of one kind together."""

import argparse
import multiprocessing
import sys
from collections import defaultdict
from functools import partial

from . import check
from .check import Failure

SHOWN = 3           # seeds of each kind
DEVICE_SHARE = 10   # one network in ten is compiled and executed by the emulator


def _one(seed: int, share: int) -> tuple[int, Failure | None]:
    return seed, check(seed, on_device=bool(share) and seed % share == 0)


def main() -> int:
    """Exit code 1 where a network failed."""
    parser = argparse.ArgumentParser(prog="python -m random_qdq", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--device-share", type=int, default=DEVICE_SHARE, help="one in so many is emulated; 0: none")
    chosen = parser.parse_args()
    failures: dict[str, list[tuple[int, Failure]]] = defaultdict(list)
    with multiprocessing.Pool(chosen.jobs) as pool:
        seeds = range(chosen.first, chosen.first + chosen.count)
        for seed, failure in pool.imap_unordered(partial(_one, share=chosen.device_share), seeds, chunksize=20):
            if failure:
                if failure.kind not in failures:
                    print(f"seed {seed}: {failure.kind}", flush=True)
                failures[failure.kind].append((seed, failure))
    for kind, found in sorted(failures.items(), key=lambda item: -len(item[1])):
        seeds = sorted(seed for seed, _ in found)
        print(f"{len(found)} x {kind}\n    seeds {seeds[:SHOWN]}; the first: {min(found)[1].text.strip()[-600:]}")
    failed = sum(map(len, failures.values()))
    print(f"{chosen.count - failed} of {chosen.count} networks passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
