"""Random quantized networks as many producers write them, with heads and tails: import, values, host and emulator.

By hand, many more: `python -m random_qdq --count 100000 --jobs 2` with tests/support on PYTHONPATH.
"""

import pytest
from random_qdq import check

NETWORKS = 1000
BLOCK = 25          # networks in one test
DEVICE_SHARE = 10   # one network in ten is compiled and executed by the emulator


@pytest.mark.parametrize("first", range(0, NETWORKS, BLOCK))
def test_networks_of_many_producers(first: int) -> None:
    checked = {seed: check(seed, on_device=seed % DEVICE_SHARE == 0) for seed in range(first, first + BLOCK)}
    failures = [f"seed {seed}: {failure.kind}: {failure.text}" for seed, failure in checked.items() if failure is not None]
    assert not failures, "\n".join(failures)
