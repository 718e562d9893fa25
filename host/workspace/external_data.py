"""The files in which an ONNX model stores external tensor data."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from arrayloom.host.workspace.errors import WorkspaceError


def external_files(path: Path) -> list[Path]:
    """A model's external data files, sorted by name; none if the file is not an ONNX model, which the conversion reports.

    Raises ``WorkspaceError`` for a file that is missing or outside the model's folder.
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
        raise WorkspaceError(f"{path}: keeps tensors in {name[:100]}, which is not in the model's folder; export the model "
                             "again, "
                             "with its data in its own folder")
    found = path.parent / place
    if not found.is_file():
        raise WorkspaceError(f"{path}: keeps tensors in {name[:100]!r}, and there is no such file in the model's folder; "
                             "put it there")
    return found


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a graph and of its subgraphs."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)
