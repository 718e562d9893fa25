"""Imports an ONNX model as an integer graph, in these steps.

1. `load` reads a model and normalizes it (`tidy/`); `schemes` refuses quantization that is not int8 and static, `batch` and
   `opening` make a fixed batch open, `extents` checks sizes before anything runs.
2. `model` finds the facts about every value by running the model in ONNX Runtime.
3. `partition` separates the host's head and tail from the accelerator's part, `extract` makes models of them; `permission`
   decides how much the host may compute.
4. `rewriting/` rewrites ONNX to ONNX: its passes bring quantized networks into the forms that the lowering accepts.
5. `lowering/` replaces QDQ forms by integer operators of ONNX Runtime. The accelerator is compared with this integer model.
6. `assemble` makes the integer graph with a `builder`: integer operators by the rules in `operators/`, float functions
   between integers as lookup tables by `islands/`, inputs and outputs by `inputs` and `border`. Movements are collected as
   maps of indices (`movement`, `moved`, `union`) until an operation needs the value.

What cannot be compiled is raised as a `RefusalError` and collected in a `report` under the names of the user's nodes, which
every node that a pass makes records as its origin (`origin`). If only the host can compute a node, the tail grows and steps
3 to 6 are repeated.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from arrayloom.compiler.errors import CompileError, ModelError, SessionError, UnsupportedError
from arrayloom.compiler.frontend.assemble import assemble
from arrayloom.compiler.frontend.batch import free_batch
from arrayloom.compiler.frontend.class_names import class_names
from arrayloom.compiler.frontend.extents import check_extents
from arrayloom.compiler.frontend.extract import host_part, middle_model
from arrayloom.compiler.frontend.inputs import find_encoding
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.compiler.frontend.load import load_model
from arrayloom.compiler.frontend.lost_batch import regain_batch
from arrayloom.compiler.frontend.lowering import lower
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, HostPolicy, ImportOptions
from arrayloom.compiler.frontend.partition import BOUNDARY, Partition, partition
from arrayloom.compiler.frontend.permission import grow, not_permitted
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.result_bytes import find_result_encoding
from arrayloom.compiler.frontend.rewriting import rewrite
from arrayloom.compiler.frontend.rewriting.heads import gather_heads
from arrayloom.compiler.frontend.rewriting.queries import put_queries_first
from arrayloom.compiler.frontend.tidy.ports import check_constant_outputs
from arrayloom.compiler.graph import Graph
from arrayloom.compiler.legality import check_graph
from arrayloom.isa.host_parts import HostWork, ModelPort
from arrayloom.isa.program import NOTICE_NOTE

__all__ = ["NOTICE", "HostPolicy", "ImportOptions", "ImportedModel", "import_model"]

#: Key of a notice in a model's metadata, such as that its weights are random, which all output about the model repeats.
NOTICE = "arrayloom.notice"


@dataclass(frozen=True)
class ImportedModel:
    """An imported model, with the ONNX models with which its tensors and outputs are compared.

    Attributes
    ----------
    graph
        The integer graph.
    original
        The model as given, with local functions inlined and a symbolic batch if it was fixed.
    middle
        The part that the accelerator computes; `original` itself if the host computes nothing.
    """

    graph: Graph
    original: onnx.ModelProto
    middle: onnx.ModelProto

    @property
    def lowered(self) -> onnx.ModelProto:
        """The integer model that has the graph's tensors as values; `middle` itself if nothing had to be lowered."""
        return self.graph.integer_model

    @property
    def is_lowered(self) -> bool:
        """Whether the import replaced float operators by integer ones."""
        return self.lowered is not self.middle


def import_model(source: str | Path | onnx.ModelProto, options: ImportOptions = DEFAULT_OPTIONS) -> ImportedModel:
    """Imports a quantized ONNX model in QDQ or QOperator form.

    Parameters
    ----------
    source
        The path of a model, or the model itself. A model in memory must hold its weights.
    options
        What the import may leave to the host and round.

    Returns
    -------
    ImportedModel
        The integer graph, the model as given and the lowered one. A QDQ model is lowered to ONNX Runtime's integer
        operators, and every tensor of the graph equals the value in that lowered model.

    Raises
    ------
    ModelError
        The file or the model as a whole is unusable.
    UnsupportedError
        Some nodes cannot be compiled; all of them are listed.
    """
    notes: list[str] = []
    proto, batch_notes = free_batch(load_model(source, notes))
    notes.extend(batch_notes)
    check_extents(proto)
    try:
        whole = _analyse(proto)
    except ModelError as error:
        if not batch_notes:
            raise
        reason = f"the batch is fixed, and some node depends on it: export the model for a batch of 1 ({error})"
        raise ModelError(reason) from error
    check_constant_outputs(whole)
    parts = _partition(whole, options)
    refused = not_permitted(parts, options.host)
    while parts.middle:
        try:
            imported = _import_either_way(parts, options, notes)
        except UnsupportedError as error:
            parts, further = grow(parts, error, options.host)
            refused.extend(further)
            notes.extend(f"the host computes {entry.operator} '{entry.node}' and what follows it: {entry.reason}"
                         for entry in error.nodes if entry.operator not in BOUNDARY)
            if further:
                break
        else:
            break
    if refused:
        raise UnsupportedError(refused)
    return imported


def _partition(model: Model, options: ImportOptions) -> Partition:
    """Returns the initial partition.

    If roundings are permitted, quantized layers at the end are left to the host only if they are small.
    """
    parts = partition(model)
    small = HostPolicy.NONE if options.host is HostPolicy.NONE else HostPolicy.SMALL
    if options.insert_rounding and not_permitted(parts, small):
        return partition(model, last_layers=True)
    return parts


def _import_either_way(parts: Partition, options: ImportOptions, notes: Sequence[str]) -> ImportedModel:
    """Imports the model with its dimensions arranged for the accelerator, or unchanged if only the former is refused."""
    try:
        return _import_parts(parts, options, notes)
    except UnsupportedError as refusal:
        with suppress(CompileError):
            return _import_parts(parts, options, notes, arranged=False)
        raise refusal


def _import_parts(parts: Partition, options: ImportOptions, notes: Sequence[str], arranged: bool = True) -> ImportedModel:
    """Imports the model, with the accelerator's part of it as an integer graph."""
    whole = parts.model
    report = Report(may_round=options.insert_rounding, attention=options.attention)
    report.notes.extend(notes)
    report.notices.extend(entry.value for entry in whole.proto.metadata_props if entry.key == NOTICE)
    middle = middle_model(parts)
    given = gather_heads(regain_batch(whole if middle is whole.proto else _analyse(middle)))
    given.require_batch()
    rewritten = rewrite(given, report, options, arranged)
    report.notes.extend(f"{NOTICE_NOTE}{notice}" for notice in report.notices)
    lowered = lower(rewritten, report)
    integer = rewritten if lowered is rewritten.proto else _analyse(lowered)
    if options.attention:
        integer = put_queries_first(integer)
    if integer is not given:
        integer.require_batch()
    graph = assemble(integer, report)
    graph.notices.extend(report.notices)
    graph.labels.extend(class_names(whole.proto))
    graph.inserted_roundings.extend(report.inserted_roundings)
    given_ports = _ports(whole, [value.name for value in whole.inputs])
    graph.model_inputs.extend(replace(port, encoding=find_encoding(whole, port.name)) for port in given_ports)
    made_ports = _ports(whole, whole.outputs)
    graph.model_outputs.extend(replace(port, encoding=find_result_encoding(whole, port.name)) for port in made_ports)
    head, tail = host_part(parts, parts.head), host_part(parts, parts.tail)
    graph.host = HostWork(head, tail, parts.macs, parts.share)
    check_graph(graph)
    return ImportedModel(graph, whole.proto, middle)


def _ports(model: Model, names: Sequence[str]) -> list[ModelPort]:
    return [ModelPort(name, tuple(model.shapes[name][1:]), str(model.dtypes[name])) for name in names]


def _analyse(model: onnx.ModelProto) -> Model:
    """Returns the model with facts about its values; if ONNX Runtime rejects it, the error lists the unknown nodes."""
    try:
        return Model(model)
    except SessionError as error:
        nodes = unknown_nodes(model)
        if nodes:
            raise UnsupportedError(nodes) from error
        raise ModelError(f"{error}; export the model again, or fix the node that it names") from error
