"""From a registered model to a program for the accelerator, as an operation."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend.options import HostPolicy
from arrayloom.host.vision import recipe
from arrayloom.host.vision.classify import load_labels
from arrayloom.host.workspace.entries import check_name
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.frameworks import require_tf2onnx, require_torch, require_trust
from arrayloom.host.workspace.job import Job
from arrayloom.host.workspace.model import Model
from arrayloom.host.workspace.operation import Operation
from arrayloom.host.workspace.registry import Registry
from arrayloom.isa.config import DEFAULT, load_config
from arrayloom.isa.program import SUFFIX

Array = NDArray[Any]
CalibrationData = str | Path | Array | Mapping[str, Array]
CALIBRATION = "calibration.npz"
JOB = Job("convert", "arrayloom.host.workspace.conversion_job")


class AccelOnnxConverter:
    """Conversions; each is an ``Operation`` whose ``result`` is a registered ``Model`` that holds a program."""

    @staticmethod
    def convert(workspace: Registry, model: Model, *, model_name: str | None = None, config: str = DEFAULT,
                preprocess: str | None = None, labels: Path | str | Sequence[str] | None = None,
                calibration: CalibrationData | None = None, method: str = "minmax", tags: Mapping[str, str] | None = None,
                properties: Mapping[str, str] | None = None, description: str | None = None,
                inputs: Sequence[str] = (), outputs: Sequence[str] = (), host: str = HostPolicy.SMALL,
                insert_rounding: bool = False, allow_code: bool = False) -> Operation:
        """Starts to compile a model; a float model is quantized first.

        Parameters
        ----------
        model : Model
            An int8 or float ONNX model, a PyTorch archive, or a TensorFlow SavedModel.
        model_name : str | None
            Name of the program; None: ``NAME.loom`` with the model's name.
        config : str
            The accelerator: a preset's name or a TOML file.
        preprocess : str | None
            Recipe that turns an image into the network's input; stored with the program.
        labels : Path | str | Sequence[str] | None
            Class names, or a file with one per line; stored with the program.
        calibration : CalibrationData | None
            The data on which a float network is run to find ranges: a folder of images (needs ``preprocess``), an .npz file
            of preprocessed float32 arrays or of uint8 photographs [N, H, W, 3], or float32 arrays [N, ...].
        method : str
            ``minmax``, ``percentile`` or ``entropy``.
        tags, properties, description
            Labels of the program, as for ``Model.register``.
        inputs, outputs : Sequence[str]
            Tensor names, for a SavedModel only.
        host : str
            How much of the network the host may compute in float at its beginning and end: ``none``, ``small`` (up to 1 % of
            the multiply-accumulates) or ``any``.
        insert_rounding : bool
            Whether float values between integer layers may be quantized.
        allow_code : bool
            Whether code in the model's file may run. PyTorch archives and SavedModels are converted only with it; set it
            only for files from a source that you trust.

        Raises
        ------
        WorkspaceError
            The model is already a program or may contain code, or an extra or the calibration is missing. Later errors are
            the operation's.
        """
        _require_convertible(model, allow_code)
        load_config(config)
        if preprocess is not None:
            recipe(preprocess)
        lines = list(labels) if isinstance(labels, Sequence) and not isinstance(labels, str) else \
            load_labels(Path(labels)) if labels is not None else None
        place, keep = _calibration(calibration, preprocess)
        arguments = {"model": model.entry.id, "name": check_name(model_name or _program_name(model.name), "model"),
                     "config": config if not Path(config).suffix else str(Path(config).resolve()), "preprocess": preprocess,
                     "labels": lines, "calibration": place, "method": method, "tags": dict(tags or {}),
                     "properties": dict(properties or {}), "description": description or "", "inputs": list(inputs),
                     "outputs": list(outputs), "host": HostPolicy.of(host), "insert_rounding": insert_rounding}
        return Operation.start(workspace, JOB, arguments, [model.entry], keep)

    @staticmethod
    def convert_tf_model(workspace: Registry, model: Model, input_tensors: str | Sequence[str],
                         output_tensors: str | Sequence[str], **options: Any) -> Operation:
        """Converts a TensorFlow SavedModel; tensor names are lists, or comma-separated as in the original API.

        ``options`` as for ``convert``.
        """
        def names(given: str | Sequence[str]) -> list[str]:
            return given.split(",") if isinstance(given, str) else list(given)

        if model.framework != "tensorflow":
            raise WorkspaceError(f"model {model.id} is no TensorFlow SavedModel but {model.framework}; use convert()")
        return AccelOnnxConverter.convert(workspace, model, inputs=names(input_tensors), outputs=names(output_tensors),
                                          **options)


def _require_convertible(model: Model, allow_code: bool) -> None:
    if model.framework == "arrayloom":
        raise WorkspaceError(f"model {model.id} is a program already; make an image from it with Image.create")
    require_trust(model.id, model.framework, allow_code)
    if model.framework == "tensorflow":
        require_tf2onnx(model.id)
    if model.framework == "torch":
        require_torch()


def _program_name(name: str) -> str:
    return name[:255 - len(SUFFIX)] + SUFFIX


def _calibration(data: CalibrationData | None, preprocess: str | None) -> tuple[str | None, dict[str, bytes]]:
    """The path of the calibration, and files to write to the operation's folder (calibration given as arrays)."""
    if data is None:
        return None, {}
    if isinstance(data, str | Path):
        path = Path(data).resolve()
        if not path.exists():
            raise WorkspaceError(f"calibration {path}: no such folder or file; give a folder of images or an .npz file")
        if path.is_dir() and preprocess is None:
            raise WorkspaceError(f"calibration {path}: a folder of images needs a preprocessing recipe; give "
                                 "preprocess")
        return str(path), {}
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(data) if isinstance(data, Mapping) else {"input": data}
    np.savez(buffer, **arrays)
    return CALIBRATION, {CALIBRATION: buffer.getvalue()}
