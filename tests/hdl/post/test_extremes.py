"""Sums, biases and scales at the ends of their ranges through the lanes: words equal the emulator's."""

import itertools

import numpy as np
import pytest

from arrayloom.isa.arithmetic import MAX_SHIFT, MIN_SHIFT
from arrayloom.isa.config import PRESETS
from arrayloom.isa.instructions import SIGNIFICANT, Drain

TINY = PRESETS["tiny"]
LEAST, MOST = -(1 << 31), (1 << 31) - 1
SUMS = [LEAST, LEAST + 1, -(1 << 24) - 1, -1, 0, 1, (1 << 24) + 1, MOST - 64, MOST - 1, MOST]
BIASES = [0, 1, -1, LEAST, MOST]
MULTIPLIERS = [0, 1 << SIGNIFICANT - 1, (1 << SIGNIFICANT) - 1]
SHIFTS = [MIN_SHIFT, 31, 46, 54, MAX_SHIFT]


@pytest.mark.parametrize("zero_point", [-256, 255])
def test_requantization_at_the_extremes(check, job, zero_point: int) -> None:
    """Sum and bias wrap; magnitudes saturate; the result with its zero point is in range."""
    channels = list(itertools.product(BIASES, MULTIPLIERS, SHIFTS))
    jobs = []
    for index, first in enumerate(range(0, len(channels), TINY.size)):
        chosen = (channels[first:first + TINY.size] + channels[:TINY.size])[:TINY.size]
        bias = np.array([one[0] for one in chosen], np.int64) & 0xFFFFFFFF
        scale = np.array([multiplier | shift << SIGNIFICANT for _, multiplier, shift in chosen], np.int64)
        entries = np.stack([bias, scale]).astype(np.uint32).reshape(2, TINY.groups, TINY.lanes).transpose(1, 0, 2)
        sums = np.repeat(np.array(SUMS, np.int32)[:, None], TINY.size, 1)
        drain = Drain(destination=3000 + index * len(SUMS), destination_pitch=len(SUMS), height=1, width=len(SUMS),
                      zero_point=zero_point, release_parameters=1)
        jobs.append(job(drain, sums=sums, parameters=entries))
    check(TINY, jobs, np.zeros((TINY.activation_words, TINY.size), np.int8))
