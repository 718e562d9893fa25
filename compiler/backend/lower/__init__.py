"""Instructions of each kind of step."""

from arrayloom.compiler.backend.context import Site
from arrayloom.compiler.backend.lower.average import Averager
from arrayloom.compiler.backend.lower.convolution import Convolver
from arrayloom.compiler.backend.lower.rearrangement import Rearranger
from arrayloom.compiler.backend.lower.unary import Copier, Pooler
from arrayloom.compiler.backend.lower.writer import Writer
from arrayloom.compiler.backend.steps import Average, Convolution, Maximum, Rearrangement, Step, Sum


def writer_of(site: Site, step: Step) -> Writer:
    """What writes the instructions of ``step``."""
    operation = step.operation
    if isinstance(operation, Rearrangement):
        return Rearranger(site, step, operation)
    if isinstance(operation, Convolution):
        return Convolver(site, step, operation)
    if isinstance(operation, Maximum | Sum):
        return Pooler(site, step, operation)
    if isinstance(operation, Average):
        return Averager(site, step, operation)
    return Copier(site, step)
