"""Combines the runs of an image's segments into one verdict."""

from collections.abc import Sequence

from arrayloom.host.runtime.examine import Examiner, Image
from arrayloom.host.runtime.verdict import Verdict, add_comparison
from arrayloom.host.segments.background import Emulation
from arrayloom.host.segments.check import Judge
from arrayloom.host.segments.merge import Merged, merge
from arrayloom.host.segments.run import Run
from arrayloom.host.segments.segment import Segment


def assemble(examiner: Examiner, image: Image, emulation: Emulation, number: int, segments: Sequence[Segment],
             runs: Sequence[Run]) -> tuple[Verdict, Merged]:
    """The result of ``Verifier``, and how its cycles were merged; ``number``: of the image in the ``emulation``."""
    examined = emulation.examined(number)
    verdict, judge = examined.verdict, Judge(examiner.program, examined.capture)
    memory = examiner.memory(image)
    for segment, run in zip(segments, runs, strict=True):
        start, end = (emulation.state(number, index) for index in (segment.first, segment.end))
        add_comparison(verdict, judge.compare(segment, run, start, end))
        run.changes.apply(memory)
    merged = merge(segments, runs)
    verdict.report = merged.report(examiner.program, sum(run.seconds for run in runs))
    examiner.compare_outputs(verdict, memory, examined.expected)
    examiner.finish(verdict, image, examined.expected, examined.note)
    return verdict, merged
