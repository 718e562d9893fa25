"""The writer of constant tensors, which are loaded from memory."""

from collections.abc import Iterator

import numpy as np

from arrayloom.compiler.backend.context import LoweringContext, Operands
from arrayloom.compiler.backend.image import Section
from arrayloom.compiler.backend.lower.writer import Progress, Writer
from arrayloom.compiler.backend.operations import Constants
from arrayloom.compiler.backend.stream import Effects
from arrayloom.isa.instructions import LoadActivations


class ConstantWriter(Writer):
    """Loads a constant tensor."""

    def __init__(self, context: LoweringContext, operation: Constants) -> None:
        super().__init__(context)
        self.operation = operation

    def run(self, operands: Operands, blocks: range, first: int, last: int) -> Iterator[Progress]:
        layout = self.context.network.layouts[self.step.output]
        words = layout.pack(self.operation.values).reshape(layout.blocks, layout.height, layout.columns * layout.size)
        for block in blocks:
            span = operands.y.span(block, 1, first, last)
            data = np.ascontiguousarray(words[block, first:last]).ravel()
            address = self.context.constants.add(data)
            load = LoadActivations(address=address, destination=span.start, words=span.words, rows=1)
            self.context.add(load, Effects(writes=(span,)), section=Section.CONSTANTS)
            yield Progress(block, last, span.words, 0)
