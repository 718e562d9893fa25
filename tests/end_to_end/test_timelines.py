"""Timelines of whole networks on the RTL agree with the hardware's counters."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from random_graphs import generate, random_inputs

from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.session import Session
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS, Unit
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline, Track

IMAGE = digits.IMAGES / "digit_3_0705.png"
RANDOM_GRAPH = 12


@pytest.fixture(scope="module")
def device() -> Iterator[RtlDevice]:
    device = RtlDevice(PRESETS["tiny"], timeline=True)
    yield device
    device.close()


@pytest.mark.parametrize("network", ["digits", "random graph"])
def test_a_timeline_is_what_the_hardware_counts(network: str, device: RtlDevice) -> None:
    if network == "digits":
        model, inputs = onnx.load(digits.MODEL), {"image": preprocess(IMAGE, "digits")}
    else:
        model = generate(RANDOM_GRAPH)
        inputs = random_inputs(model, RANDOM_GRAPH)
    session = Session(model, PRESETS["tiny"], device=device)
    session.run(inputs)
    report, timeline = session.report, device.timeline
    assert timeline is not None
    assert report.cycles == timeline.cycles
    assert report.counters == timeline.counters()
    assert timeline.traffic.words_read[-1] == report.words_read
    assert timeline.traffic.words_written[-1] == report.words_written
    assert set(timeline.tracks) == {*(unit.name for unit in CORE_UNITS), "FETCH"}
    for name, track in timeline.tracks.items():
        _check_segments(track, timeline)
        _check_instructions(name, track, session.program)


def _check_segments(track: Track, timeline: Timeline) -> None:
    assert track.starts[0] == 0
    assert (track.lengths(timeline.cycles) > 0).all()
    assert ((np.diff(track.causes) != 0) | (np.diff(track.instructions) != 0)).all()


def _check_instructions(name: str, track: Track, program: Program) -> None:
    """Each instruction of the unit in order, and no active cycle outside of them."""
    own = [index for index, one in enumerate(program) if name == "FETCH" or (one.UNIT is not None and one.UNIT.name == name)]
    seen = track.instructions[track.instructions >= 0]
    assert (np.diff(seen) >= 0).all()
    assert np.unique(seen).tolist() == own
    assert (track.causes[track.instructions < 0] == Cause.IDLE).all()


def test_the_array_computes_what_its_instructions_say(device: RtlDevice) -> None:
    """Each Convolve has one computing cycle per pixel: its attribution to instructions is exact."""
    session = Session(digits.MODEL, PRESETS["tiny"], device=device)
    session.run({"image": preprocess(IMAGE, "digits")})
    assert device.timeline is not None
    track = device.timeline.tracks["ARRAY"]
    computing = track.causes == Cause.COMPUTING
    counted = np.bincount(track.instructions[computing], track.lengths(device.timeline.cycles)[computing],
                          len(session.program))
    for index, one in enumerate(session.program):
        if one.UNIT is Unit.ARRAY:
            wanted = one.height * one.width * one.blocks * one.taps_y * one.taps_x * one.repeats  # type: ignore[attr-defined]
            assert counted[index] == wanted, index
