"""TensorFlow SavedModels to ONNX, where ``tf2onnx`` is installed."""

import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from arrayloom.compiler.errors import ModelError
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.sim.rtl.process import PYTHON

OPSET = 17


def require_tf2onnx(model: str) -> None:
    """Raises ``WorkspaceError`` with the remedy where ``tf2onnx`` or TensorFlow is not installed."""
    missing = [package for package in ("tf2onnx", "tensorflow") if find_spec(package) is None]
    if missing:
        raise WorkspaceError(f"model {model} is a TensorFlow SavedModel, and {' and '.join(missing)} is not installed; "
                             "install it with: pip install tf2onnx tensorflow-cpu, or convert the model elsewhere and "
                             "register the .onnx file")


def saved_model_to_onnx(folder: Path, scratch: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Path:
    """A SavedModel as an ONNX file in ``scratch``; raises ``ModelError`` with what ``tf2onnx`` says.

    Args:
        inputs: names of tensors, with or without ``:0``; images among them become [N, C, H, W]. The signature's where
            empty.
        outputs: likewise.
    """
    target = scratch / "converted.onnx"
    command = [*PYTHON, "-m", "tf2onnx.convert", "--saved-model", str(folder), "--output", str(target), "--opset",
               str(OPSET)]
    if inputs:
        command += ["--inputs", ",".join(map(_tensor, inputs)), "--inputs-as-nchw", ",".join(map(_tensor, inputs))]
    if outputs:
        command += ["--outputs", ",".join(map(_tensor, outputs))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stderr, end="", flush=True)
    if done.returncode or not target.is_file():
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ModelError(f"tf2onnx cannot convert the SavedModel: {lines[-1]}; its whole report is in the operation's log")
    return target


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"
