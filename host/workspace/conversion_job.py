"""The job of a conversion: export to ONNX, quantization, compilation."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend import HostPolicy, ImportOptions
from arrayloom.compiler.frontend.load import read_model
from arrayloom.compiler.frontend.schemes import is_quantized
from arrayloom.host.models.quantize import Calibration, quantize
from arrayloom.host.runtime.host_report import lines_of_host
from arrayloom.host.serving import Bundle
from arrayloom.host.workspace import entries
from arrayloom.host.workspace.entries import Draft
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.frameworks import archive_to_onnx, saved_model_to_onnx
from arrayloom.host.workspace.job import Progress, Running
from arrayloom.host.workspace.model import LABELS, PROGRAM, Model
from arrayloom.isa.config import load_config
from arrayloom.isa.program import Program

FOLDER = "program"


def run(running: Running, request: Mapping[str, Any]) -> None:
    """Converts the source to ONNX, quantizes it, compiles it, and registers the result."""
    workspace = running.workspace
    with workspace.database.read() as connection:
        source = Model.of(workspace, entries.get(connection, request["model"]))
    source.verify()
    progress = Progress(running)
    with workspace.staged() as scratch:
        model = _quantized(running, request, _to_onnx(source, request, scratch), progress)
        print(f"compiling for {request['config']}", flush=True)
        program = compile_model(model, load_config(request["config"]), _options(request), partial(progress, "compiling"))
        _describe(program)
        # Mistakes that would surface only when the program is served are reported here: too few labels, a recipe of another
        # shape.
        Bundle.create(request["name"], program, labels=request["labels"], recipe=request["preprocess"])
        _publish(running, request, source, program)


def _options(request: Mapping[str, Any]) -> ImportOptions:
    return ImportOptions(HostPolicy.of(request["host"]), request["insert_rounding"])


def _to_onnx(source: Model, request: Mapping[str, Any], scratch: Path) -> onnx.ModelProto:
    print(f"reading {source.entry.reference} ({source.framework})", flush=True)
    if source.framework == "torch":
        return read_model(archive_to_onnx(source.path, scratch))
    if source.framework == "tensorflow":
        return read_model(saved_model_to_onnx(source.path, scratch, request["inputs"], request["outputs"]))
    return read_model(source.file)


def _quantized(running: Running, request: Mapping[str, Any], model: onnx.ModelProto, progress: Progress) -> onnx.ModelProto:
    if is_quantized(model):
        if request["calibration"]:
            raise WorkspaceError("the model is quantized already, and a calibration was given; leave it out, or convert the "
                                 "float model")
        return model
    if not request["calibration"]:
        raise WorkspaceError("the model is a float model, and no calibration was given; give calibration: a few dozen "
                             "representative images, as a folder or as arrays")
    calibration = Calibration.from_path(running.path / request["calibration"], request["preprocess"], takes_arrays=True)
    print(f"quantizing with {len(calibration)} images by {request['method']}", flush=True)
    quantized = quantize(model, calibration, request["method"], progress, _options(request))
    for note in quantized.notes:
        print(f"note: {note}", flush=True)
    return quantized.model


def _describe(program: Program) -> None:
    print(f"{len(program)} instructions, {len(program.constants):,} bytes of constants, {program.macs:,} "
          "multiply-accumulates", flush=True)
    for line in (*lines_of_host(program), *(f"note: {note}" for note in program.notes)):
        print(line, flush=True)


def _publish(running: Running, request: Mapping[str, Any], source: Model, program: Program) -> None:
    properties = request["properties"] | {"config": program.config, "config_digest": program.config_digest,
                                          "converted_from": source.id}
    if request["preprocess"]:
        properties["preprocess"] = request["preprocess"]
    draft = Draft("model", request["name"], "Registered", request["description"], {"framework": "arrayloom"},
                  request["tags"], properties, [source.entry])

    with running.workspace.staged() as place:
        folder = place / FOLDER
        folder.mkdir()
        program.save(folder / PROGRAM)
        if request["labels"] is not None:
            (folder / LABELS).write_text("".join(f"{label}\n" for label in request["labels"]), encoding="utf-8")
        entry = running.workspace.publish(draft, folder, running.succeed)
    print(f"registered {entry.reference}", flush=True)
