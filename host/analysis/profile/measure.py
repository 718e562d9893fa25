"""A profile from a run on the RTL."""

from collections.abc import Mapping
from typing import Any

from arrayloom.host.analysis.profile.profile import Profile, ProfileError
from arrayloom.host.runtime.progress import Progress
from arrayloom.host.runtime.session import Session
from arrayloom.isa.program import Program


def measure(program: Program, inputs: Mapping[str, Any], progress: Progress | None = None,
            title: str | None = None) -> Profile:
    """Runs one image, each input [1, ...], through the RTL of the program's configuration.

    Raises ``ProfileError`` for several images, and when timeline and registers contradict each other.
    """
    from arrayloom.host.runtime.rtl_device import RtlDevice

    if any(len(values) != 1 for values in inputs.values()):
        raise ProfileError("a profile is of one image; give an input of batch 1")
    device = RtlDevice(program.configuration, timeline=True)
    with Session(program, program.configuration, device=device) as session:
        session.run(inputs, progress)
        report, timeline = session.report, device.timeline
    if timeline is None:
        raise ProfileError("the device recorded no timeline")
    return Profile.of(program, report, timeline, title)
