"""Creates the program: encoded instructions, memory image, and the information that the host needs."""

import itertools

import numpy as np

from arrayloom.compiler.attention import Mixture, Scores
from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.features import feature_output
from arrayloom.compiler.backend.image import MemoryMap, Section, Transfer
from arrayloom.compiler.backend.layouts import unfolded
from arrayloom.compiler.backend.stream import Draft
from arrayloom.compiler.cost.busy import cycle_limit
from arrayloom.compiler.graph import Conv, Graph, GraphOutput, Op
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, encode_all
from arrayloom.isa.layout import Layout
from arrayloom.isa.ports import Input, Output, Slot
from arrayloom.isa.program import Layer, Probe, Program


def emit(graph: Graph, context: LoweringContext, drafts: list[Draft], model: str) -> Program:
    """Returns the program of a network from its drafts of instructions."""
    constants = context.constants.data()
    size = context.config.size
    memory = MemoryMap.of(len(drafts) * INSTRUCTION_BYTES, constants.size, context.placement.memory_words * size)
    instructions = [_located(draft, memory) for draft in drafts]
    code = encode_all(instructions, memory.code // INSTRUCTION_BYTES)
    layers = _layers(graph, context, drafts)
    ports = _Ports(graph, context, memory)
    return Program(
        configuration=context.config, model=model,
        instructions=code, constants=constants, code_address=memory.code,
        constants_address=memory.constants, memory_bytes=memory.size, inputs=ports.inputs(), outputs=ports.outputs(),
        features=ports.features(), layers=layers, probes=_probes(drafts), layouts=_layouts(graph, context),
        dtypes=context.network.dtypes, macs=sum(layer.macs for layer in layers), notes=list(graph.notes),
        notices=list(graph.notices), labels=list(graph.labels),
        model_inputs=list(graph.model_inputs), model_outputs=list(graph.model_outputs),
        host=graph.host, inserted_roundings=list(graph.inserted_roundings),
        write_base=memory.data, cycle_limit=cycle_limit(instructions, context.config))


def _located(draft: Draft, memory: MemoryMap) -> Instruction:
    """Returns the instruction of a draft, with its final memory address if it is a transfer."""
    instruction = draft.instruction
    if draft.section is not None and isinstance(instruction, Transfer):
        return memory.relocate(instruction, draft.section)
    return instruction


def _probes(drafts: list[Draft]) -> dict[int, tuple[Probe, ...]]:
    return {index: draft.probes for index, draft in enumerate(drafts) if draft.probes}


def _layouts(graph: Graph, context: LoweringContext) -> dict[str, Layout]:
    """Returns the layouts of the graph's tensors; one that is not stored has the layout of the step with a probe of it."""
    layouts = {name: unfolded(context.network, name) for name in context.network.layouts if name in graph.tensors}
    for step in context.network.steps:
        for probe in step.probes:
            layouts.setdefault(probe.tensor, unfolded(context.network, step.output))
    aliases = {name: context.network.root(name) for name in context.network.aliases}
    return layouts | {name: layouts[root] for name, root in aliases.items() if root in layouts}


def _layers(graph: Graph, context: LoweringContext, drafts: list[Draft]) -> list[Layer]:
    """Returns the operations that have instructions, each with the runs of instructions that execute it."""
    runs: dict[int, list[tuple[int, int]]] = {}
    begin = 0
    for step, run in itertools.groupby(drafts[:-1], lambda draft: draft.step):
        end = begin + sum(1 for _ in run)
        for source in context.network.steps[step].sources:
            runs.setdefault(source, []).append((begin, end))
        begin = end
    return [Layer(op.name, op.op_type, tuple(runs[i]), _macs(graph, op)) for i, op in enumerate(graph.ops) if i in runs]


def _macs(graph: Graph, op: Op) -> int:
    """Returns the multiply-accumulates of an operation; taps in the padding count too."""
    if isinstance(op, Scores):
        return int(np.prod(graph.tensors[op.a].shape)) * graph.tensors[op.b].shape[2]
    if isinstance(op, Mixture):
        return int(np.prod(graph.tensors[op.output].shape)) * graph.tensors[op.b].shape[2]
    if not isinstance(op, Conv):
        return 0
    _, height, width = graph.tensors[op.output].shape
    return int(op.weight.size) * height * width


class _Ports:
    """The inputs and outputs of the program, with their places in memory."""

    def __init__(self, graph: Graph, context: LoweringContext, memory: MemoryMap) -> None:
        self.graph, self.context, self.memory = graph, context, memory

    def inputs(self) -> list[Input]:
        return [Input(port.name, port.shape, self._slot(port.tensor), port.quantize, port.moves)
                for port in self.graph.inputs]

    def outputs(self) -> list[Output]:
        return [self._output(port) for port in self.graph.outputs]

    def features(self) -> Output | None:
        name = self.context.network.features
        return self._output(feature_output(self.graph, name)) if name else None

    def _output(self, port: GraphOutput) -> Output:
        shape = self.graph.tensors[port.tensor].onnx_shape
        return Output(port.name, shape, self._slot(port.tensor), port.tail)

    def _slot(self, name: str) -> Slot:
        word = self.context.placement.memory_word(self.context.network, name)
        address = self.memory.address(Section.DATA, word * self.context.config.size)
        layout = unfolded(self.context.network, self.context.network.root(name))
        return Slot(name, address, layout, self.context.network.dtypes[name])
