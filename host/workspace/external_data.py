"""The files in which an ONNX model keeps tensors beside itself."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from arrayloom.host.workspace.errors import WorkspaceError


def external_files(path: Path) -> list[Path]:
    """Those of a model, in the order of their names; none where the file is no ONNX model, which its conversion says.

    Raises ``WorkspaceError`` for one that is missing or lies outside the model's folder.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError):
        return []
    names = sorted({ExternalDataInfo(tensor).location for tensor in _tensors(model.graph) if uses_external_data(tensor)})
    return [_beside(path, name) for name in names]


def _beside(path: Path, name: str) -> Path:
    place = PurePath(name)
    if place.is_absolute() or ".." in place.parts or not place.parts:
        raise WorkspaceError(f"{path}: keeps tensors in {name[:100]!r}, which is not beside it; export the model again, "
                             "with its data in its own folder")
    found = path.parent / place
    if not found.is_file():
        raise WorkspaceError(f"{path}: keeps tensors in {name[:100]!r}, and there is no such file beside it; put it there")
    return found


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a graph and of the graphs within it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)
