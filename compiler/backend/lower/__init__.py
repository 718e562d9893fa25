"""Instructions of each kind of step."""

from compiler.backend.lower.average import Averager
from compiler.backend.lower.convolution import Convolver
from compiler.backend.lower.rearrangement import Rearranger
from compiler.backend.lower.unary import Copier, Pooler
from compiler.backend.lower.writer import Writer
from compiler.backend.site import Site
from compiler.backend.steps import Average, Convolution, Maximum, Rearrangement, Step, Sum


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
