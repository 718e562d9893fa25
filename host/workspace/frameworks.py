"""PyTorch modules: as archives that can be registered, and from those to ONNX."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from arrayloom.compiler.errors import ModelError
from arrayloom.host.workspace.errors import WorkspaceError

OPSET = 18


def require_torch() -> None:
    """Raises ``WorkspaceError`` with the remedy where PyTorch or its exporter is not installed."""
    for package in ("torch", "onnxscript"):
        if find_spec(package) is None:
            raise WorkspaceError(f"converting PyTorch modules needs {package}, which is not installed; install it with: "
                                 "pip install '.[torch]'")


def export_module(module: Any, example_inputs: tuple[Any, ...], path: str | Path) -> Path:
    """Writes a ``torch.nn.Module`` as an archive (``.pt2``) that ``Model.register`` takes.

    Args:
        module: is exported in evaluation mode.
        example_inputs: tensors [1, ...] such as ``forward`` takes.
        path: where the archive goes; ends in ``.pt2``.

    Raises:
        WorkspaceError: PyTorch is missing, the name ends otherwise, or PyTorch cannot export the module.
    """
    require_torch()
    import torch

    target = Path(path)
    if target.suffix != ".pt2":
        raise WorkspaceError(f"{target}: the name of a PyTorch archive ends in .pt2; choose such a name")
    training = module.training
    try:
        program = torch.export.export(module.eval(), example_inputs)
        torch.export.save(program, target)
    except Exception as error:
        raise WorkspaceError(f"PyTorch cannot export {type(module).__name__}: {_first(error)}; mend the module so that "
                             "torch.export.export takes it") from error
    finally:
        module.train(training)
    return target


def archive_to_onnx(path: Path, scratch: Path) -> Path:
    """A ``.pt2`` archive as an ONNX file in ``scratch``; raises ``ModelError`` with PyTorch's reason."""
    import torch

    target = scratch / "exported.onnx"
    try:
        program = torch.export.load(path)
        exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET)
        assert exported is not None
        exported.save(str(target))
    except Exception as error:
        raise ModelError(f"'{path.name}' cannot be exported to ONNX by PyTorch: {_first(error)}; export it yourself with "
                         "torch.onnx.export and register the .onnx file") from error
    return target


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
