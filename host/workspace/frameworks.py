"""Conversion of PyTorch modules, PyTorch archives and TensorFlow SavedModels to ONNX, and which of them may run code."""

import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from arrayloom.compiler.errors import ModelError
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.sim.rtl.process import PYTHON

TORCH_OPSET, TENSORFLOW_OPSET = 18, 17
_CODE = {"torch": "a PyTorch archive, parts of which PyTorch unpickles",
         "tensorflow": "a TensorFlow SavedModel, whose graph TensorFlow runs when it opens it"}
"""Kinds of models from which the framework may run code when it opens them."""


def require_torch() -> None:
    """Raises ``WorkspaceError`` with the remedy if PyTorch or its exporter is not installed."""
    for package in ("torch", "onnxscript"):
        if find_spec(package) is None:
            raise WorkspaceError(f"converting PyTorch modules needs {package}, which is not installed; install it with: "
                                 "pip install '.[torch]'")


def require_trust(model: str, framework: str, allow_code: bool) -> None:
    """Raises ``WorkspaceError`` for a model that can run code when it is opened, unless that is allowed."""
    if framework in _CODE and not allow_code:
        raise WorkspaceError(f"model {model} is {_CODE[framework]}, so converting it can run any code that its author "
                             "put in; export the network to ONNX where it was made and register the .onnx file, or, "
                             "if you trust its author, convert it with --allow-code (allow_code=True)")


def export_module(module: Any, example_inputs: tuple[Any, ...], path: str | Path) -> Path:
    """Writes a ``torch.nn.Module`` as an ONNX file for ``Model.register``; the file contains no code.

    Parameters
    ----------
    module : Any
        A ``torch.nn.Module``; it is exported in evaluation mode.
    example_inputs : tuple[Any, ...]
        Tensors float32 [1, ...], as ``forward`` takes them.
    path : str | Path
        The file to write; must end in ``.onnx``.

    Raises
    ------
    WorkspaceError
        PyTorch is missing, the name has another ending, or PyTorch cannot export the module.
    """
    require_torch()
    import torch

    target = Path(path)
    if target.suffix != ".onnx":
        raise WorkspaceError(f"{target}: modules are exported to ONNX, as a .pt2 archive can hold code; choose a name that "
                             "ends in .onnx")
    training = module.training
    try:
        _write_onnx(torch.export.export(module.eval(), example_inputs), target)
    except Exception as error:
        raise WorkspaceError(f"PyTorch cannot export {type(module).__name__}: {_first(error)}; change the module until "
                             "torch.onnx.export accepts it") from error
    finally:
        module.train(training)
    return target


def archive_to_onnx(path: Path, scratch: Path) -> Path:
    """Converts a ``.pt2`` archive to an ONNX file in ``scratch``; raises ``ModelError`` with PyTorch's reason.

    This can run code from the archive: call ``require_trust`` first.
    """
    import torch

    target = scratch / "exported.onnx"
    try:
        _write_onnx(torch.export.load(path), target)
    except Exception as error:
        raise ModelError(f"'{path.name}' cannot be exported to ONNX by PyTorch: {_first(error)}; export it yourself with "
                         "torch.onnx.export and register the .onnx file") from error
    return target


def require_tf2onnx(model: str) -> None:
    """Raises ``WorkspaceError`` with the remedy if ``tf2onnx`` or TensorFlow is not installed."""
    missing = [package for package in ("tf2onnx", "tensorflow") if find_spec(package) is None]
    if missing:
        raise WorkspaceError(f"model {model} is a TensorFlow SavedModel, and {' and '.join(missing)} is not installed; "
                             "install it with: pip install tf2onnx tensorflow-cpu, or convert the model elsewhere and "
                             "register the .onnx file")


def saved_model_to_onnx(folder: Path, scratch: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Path:
    """Converts a SavedModel to an ONNX file in ``scratch``; raises ``ModelError`` with the reason of ``tf2onnx``.

    TensorFlow runs the graph's initializers, which can read and write any file: call ``require_trust`` first.

    Parameters
    ----------
    inputs : Sequence[str]
        Names of tensors, with or without ``:0``; images among them become [N, C, H, W]. If empty, those of the signature.
    outputs : Sequence[str]
        Likewise.
    """
    target = scratch / "converted.onnx"
    command = [*PYTHON, "-m", "tf2onnx.convert", "--saved-model", str(folder), "--output", str(target), "--opset",
               str(TENSORFLOW_OPSET)]
    if inputs:
        command += ["--inputs", ",".join(map(_tensor, inputs)), "--inputs-as-nchw", ",".join(map(_tensor, inputs))]
    if outputs:
        command += ["--outputs", ",".join(map(_tensor, outputs))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stderr, end="", flush=True)
    if done.returncode or not target.is_file():
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ModelError(f"tf2onnx cannot convert the SavedModel: {lines[-1]}; the operation's log has the whole report")
    return target


def _write_onnx(program: Any, target: Path) -> None:
    import torch

    exported = torch.onnx.export(program, dynamo=True, opset_version=TORCH_OPSET, verbose=False)
    assert exported is not None
    exported.save(str(target))


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
