"""Segments on the RTL: put together they are the whole run, to the cycle, and whatever goes wrong is found."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from segments import Emulated, InTurn, Network, digits_on, random_on

from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.errors import RunError
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.host.segments.check import Judge
from arrayloom.host.segments.merge import Merged, Seam, merge
from arrayloom.host.segments.overlap import Overlap
from arrayloom.host.segments.run import Run, run_segment
from arrayloom.host.segments.segment import Segment, cut
from arrayloom.host.segments.state import Changes, State
from arrayloom.host.segments.verify import SpreadVerdict, Verification
from arrayloom.isa.config import PRESETS, load_config
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction
from arrayloom.isa.instructions import Drain, Elementwise, LoadActivations, LoadParameters, LoadWeights, Store, decode
from arrayloom.sim.compare import Comparison, Divergence, compare_writes

PIECES = 4


def in_segments(network: Network, cuts: tuple[int, ...]) -> SpreadVerdict:
    load = lambda: (network.imported, [network.inputs])  # noqa: E731
    return Verification(InTurn(), load, network.program.configuration, cuts=cuts).run()


def unsegmented(network: Network) -> Verdict:
    device = RtlDevice(network.program.configuration)
    verdict = Verifier(network.imported, network.program, device).verify(network.inputs)
    device.close()
    return verdict


def some_cuts(network: Network, count: int) -> tuple[int, ...]:
    """Cuts at about equal distances."""
    cuts = network.cuts()
    return tuple(cuts[len(cuts) * number // (count + 1)] for number in range(1, count + 1))


@pytest.mark.parametrize(("name", "config", "pieces"), [
    ("digits", "tiny", 4), ("digits", "edge", 2), (18, "tiny", 4), (23, "edge", 2), (28, "tiny", 3), (29, "edge", 3), (53, "tiny", 3)])
def test_put_together_they_are_the_whole_run(name: str | int, config: str, pieces: int) -> None:
    network = digits_on(config) if isinstance(name, str) else random_on(config, name)
    found, wanted = in_segments(network, some_cuts(network, pieces - 1)), unsegmented(network)
    assert found.exact
    assert len(found.tasks) == pieces
    got, expected = found.verdict.report, wanted.report
    assert (got.cycles, got.counters, got.words_read, got.words_written) == (
        expected.cycles, expected.counters, expected.words_read, expected.words_written)
    assert (got.backend, got.macs, got.multipliers) == (expected.backend, expected.macs, expected.multipliers)
    assert found.verdict.bytes_compared == wanted.bytes_compared
    assert found.verdict.bytes_differing == 0
    assert {key: value.tolist() for key, value in found.verdict.outputs.items()} == {
        key: value.tolist() for key, value in wanted.outputs.items()}
