"""Instructions of each kind of step."""

from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.lower.average import Averager
from arrayloom.compiler.backend.lower.convolution import Convolver
from arrayloom.compiler.backend.lower.rearrangement import Rearranger
from arrayloom.compiler.backend.lower.unary import Copier, Pooler
from arrayloom.compiler.backend.lower.writer import Writer
from arrayloom.compiler.backend.steps import Average, Convolution, Maximum, Rearrangement, Step, Sum


def writer_of(context: LoweringContext, step: Step) -> Writer:
    """What writes the instructions of ``step``."""
    operation = step.operation
    if isinstance(operation, Rearrangement):
        return Rearranger(context, step, operation)
    if isinstance(operation, Convolution):
        return Convolver(context, step, operation)
    if isinstance(operation, Maximum | Sum):
        return Pooler(context, step, operation)
    if isinstance(operation, Average):
        return Averager(context, step, operation)
    return Copier(context, step)
