"""The finished program: encoded instructions, memory image, and what the host must know."""

import itertools
from dataclasses import asdict
from typing import Any

import numpy as np

from arrayloom.compiler.backend.context import Site
from arrayloom.compiler.backend.features import feature_output
from arrayloom.compiler.backend.image import MemoryMap
from arrayloom.compiler.backend.stream import Address, Item, Section
from arrayloom.compiler.graph import Conv, Graph, GraphOutput, HostStep, Op
from arrayloom.isa.program import Input, Layer, Output, Probe, Program, Slot


def emit(graph: Graph, site: Site, items: list[Item], model: str) -> Program:
    """The program of a whole network."""
    constants = site.constants.data()
    size = site.config.size
    memory = MemoryMap.of(len(items) * 64, constants.size, site.placement.memory_words * size)
    code = b"".join(_encode(item, memory) for item in items)
    layers = _layers(graph, site, items)
    ports = _Ports(graph, site, memory)
    return Program(
        configuration=site.config, model=model,
        instructions=np.frombuffer(code, np.uint8), constants=constants, code_address=memory.code,
        constants_address=memory.constants, memory_bytes=memory.size, inputs=ports.inputs(), outputs=ports.outputs(),
        features=ports.features(), layers=layers, probes=_probes(items), layouts=_layouts(graph, site),
        dtypes=site.network.dtypes, macs=sum(layer.macs for layer in layers), notes=list(graph.notes))


def _encode(item: Item, memory: MemoryMap) -> bytes:
    fields = {name: memory.resolve(value) if isinstance(value, Address) else value
              for name, value in item.fields.items()}
    return item.kind(wait=item.wait, signal=item.signal, **fields).encode()


def _probes(items: list[Item]) -> list[Probe]:
    return [Probe(mark.tensor, index, mark.stage, mark.block, mark.y, mark.x)
            for index, item in enumerate(items) for mark in item.marks]


def _layouts(graph: Graph, site: Site) -> dict[str, Any]:
    """Layouts of the graph's tensors; those without a place are laid out like the step that shows them."""
    layouts = {name: layout for name, layout in site.network.layouts.items() if name in graph.tensors}
    for step in site.network.steps:
        for trace in step.traces:
            layouts.setdefault(trace.tensor, site.network.layouts[step.output])
    aliases = {name: site.network.root(name) for name in site.network.aliases}
    return layouts | {name: layouts[root] for name, root in aliases.items() if root in layouts}


def _layers(graph: Graph, site: Site, items: list[Item]) -> list[Layer]:
    """Each operation that instructions stand for, with the runs they lie in."""
    runs: dict[int, list[tuple[int, int]]] = {}
    begin = 0
    for step, run in itertools.groupby(items[:-1], lambda item: item.step):
        end = begin + sum(1 for _ in run)
        for source in site.network.steps[step].sources:
            runs.setdefault(source, []).append((begin, end))
        begin = end
    return [Layer(op.name, op.op_type, tuple(runs[i]), _macs(graph, op)) for i, op in enumerate(graph.ops) if i in runs]


def _macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates: every tap of every output counts, those in the padding too."""
    if not isinstance(op, Conv):
        return 0
    _, height, width = graph.tensors[op.output].shape
    return int(op.weight.size) * height * width


class _Ports:
    """Inputs and outputs with their places in memory."""

    def __init__(self, graph: Graph, site: Site, memory: MemoryMap) -> None:
        self.graph, self.site, self.memory = graph, site, memory

    def inputs(self) -> list[Input]:
        return [Input(port.name, port.onnx_shape, self._slot(port.tensor),
                      None if port.scale is None else float(port.scale), port.zero_point or 0)
                for port in self.graph.inputs]

    def outputs(self) -> list[Output]:
        return [self._output(port) for port in self.graph.outputs]

    def features(self) -> Output | None:
        name = self.site.network.features
        return self._output(feature_output(self.graph, name)) if name else None

    def _output(self, port: GraphOutput) -> Output:
        shape = self.graph.tensors[port.tensor].onnx_shape
        return Output(port.name, shape, self._slot(port.tensor), tuple(_host_step(step) for step in port.tail))

    def _slot(self, name: str) -> Slot:
        word = self.site.placement.memory_word(self.site.network, name)
        address = self.memory.resolve(Address(Section.DATA, word * self.site.config.size))
        layout = self.site.network.layouts[self.site.network.root(name)]
        return Slot(name, address, layout, self.site.network.dtypes[name])


def _host_step(step: HostStep) -> dict[str, Any]:
    """The step as the program's header holds it: its name and plain numbers."""
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in asdict(step).items()}
    return {"op": type(step).__name__.lower()} | values
