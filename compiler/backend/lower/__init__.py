"""Writers: classes that write the instructions of each kind of step."""

from arrayloom.compiler.backend.attention import MixtureOperation, NormOperation, ScoresOperation, SoftmaxOperation
from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.lower.attention import MixtureWriter, ScoresWriter
from arrayloom.compiler.backend.lower.constants import ConstantWriter
from arrayloom.compiler.backend.lower.convolution import Convolver
from arrayloom.compiler.backend.lower.depthwise import DepthwiseConvolver
from arrayloom.compiler.backend.lower.normalization import NormWriter, SoftmaxWriter
from arrayloom.compiler.backend.lower.rearrangement import PixelRearranger, Rearranger
from arrayloom.compiler.backend.lower.unary import Averager, Copier, Pooler
from arrayloom.compiler.backend.lower.writer import Writer
from arrayloom.compiler.backend.operations import (
    Average,
    Constants,
    Convolution,
    DepthwiseConvolution,
    Maximum,
    PixelRearrangement,
    Rearrangement,
    Sum,
)


def writer_of(context: LoweringContext) -> Writer:
    """Returns the writer for the context's step."""
    operation = context.step.operation
    if isinstance(operation, Rearrangement):
        return Rearranger(context, operation)
    if isinstance(operation, PixelRearrangement):
        return PixelRearranger(context, operation)
    if isinstance(operation, Convolution):
        return Convolver(context, operation)
    if isinstance(operation, DepthwiseConvolution):
        return DepthwiseConvolver(context, operation)
    if isinstance(operation, Maximum | Sum):
        return Pooler(context, operation)
    if isinstance(operation, Average):
        return Averager(context, operation)
    if isinstance(operation, ScoresOperation):
        return ScoresWriter(context, operation)
    if isinstance(operation, MixtureOperation):
        return MixtureWriter(context, operation)
    if isinstance(operation, SoftmaxOperation):
        return SoftmaxWriter(context, operation)
    if isinstance(operation, Constants):
        return ConstantWriter(context, operation)
    if isinstance(operation, NormOperation):
        return NormWriter(context, operation)
    return Copier(context)
