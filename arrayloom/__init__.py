"""An FPGA accelerator for neural networks, whole and simulated, bit for bit equal to ONNX Runtime.

The names below are what programs need; each is imported on first use, so that ``import arrayloom`` is quick and works
without extras. Everything else is reached by its module, such as ``arrayloom.isa.config``.
"""

import os

TYPE_CHECKING = False       # as in typing, which is not imported for it
if TYPE_CHECKING:
    from arrayloom.compiler import compile_model
    from arrayloom.compiler.frontend.options import ImportOptions
    from arrayloom.host.models.networks import (
        Densenet121,
        QuantizedDensenet121,
        QuantizedResnet50,
        QuantizedResnet152,
        QuantizedSsdVgg,
        QuantizedVgg16,
        Resnet50,
        Resnet152,
        SsdVgg,
        Vgg16,
    )
    from arrayloom.host.models.quantize import quantize
    from arrayloom.host.runtime.session import Session
    from arrayloom.host.runtime.verify import verify
    from arrayloom.host.serving.client import PredictionClient
    from arrayloom.host.vision import preprocess_array
    from arrayloom.host.vision.detection import find_boxes
    from arrayloom.host.workspace import Model, Workspace
    from arrayloom.host.workspace.converter import AccelOnnxConverter
    from arrayloom.host.workspace.image import AccelContainerImage, Image
    from arrayloom.host.workspace.webservice import KubernetesTarget, Webservice

_NETWORKS = "arrayloom.host.models.networks"
_MODULES = {
    "AccelContainerImage": "arrayloom.host.workspace.image",
    "AccelOnnxConverter": "arrayloom.host.workspace.converter",
    "Densenet121": _NETWORKS,
    "Image": "arrayloom.host.workspace.image",
    "ImportOptions": "arrayloom.compiler.frontend.options",
    "KubernetesTarget": "arrayloom.host.workspace.webservice",
    "Model": "arrayloom.host.workspace",
    "PredictionClient": "arrayloom.host.serving.client",
    "QuantizedDensenet121": _NETWORKS,
    "QuantizedResnet50": _NETWORKS,
    "QuantizedResnet152": _NETWORKS,
    "QuantizedSsdVgg": _NETWORKS,
    "QuantizedVgg16": _NETWORKS,
    "Resnet50": _NETWORKS,
    "Resnet152": _NETWORKS,
    "Session": "arrayloom.host.runtime.session",
    "SsdVgg": _NETWORKS,
    "Vgg16": _NETWORKS,
    "Webservice": "arrayloom.host.workspace.webservice",
    "Workspace": "arrayloom.host.workspace",
    "compile_model": "arrayloom.compiler",
    "find_boxes": "arrayloom.host.vision.detection",
    "preprocess_array": "arrayloom.host.vision",
    "quantize": "arrayloom.host.models.quantize",
    "verify": "arrayloom.host.runtime.verify",
}

__all__ = [
    "AccelContainerImage",
    "AccelOnnxConverter",
    "Densenet121",
    "Image",
    "ImportOptions",
    "KubernetesTarget",
    "Model",
    "PredictionClient",
    "QuantizedDensenet121",
    "QuantizedResnet50",
    "QuantizedResnet152",
    "QuantizedSsdVgg",
    "QuantizedVgg16",
    "Resnet50",
    "Resnet152",
    "Session",
    "SsdVgg",
    "Vgg16",
    "Webservice",
    "Workspace",
    "compile_model",
    "find_boxes",
    "preprocess_array",
    "quantize",
    "verify",
]


if not os.path.isdir(os.path.join(__path__[0], "isa")):     # noqa: PTH112, PTH118  pathlib takes long to import
    # In a checkout the parts lie next to this folder. Python started there finds this file first, and the parts must not be
    # missing then, nor be those of another checkout or of a wheel that is installed.
    __path__.append(os.path.dirname(__path__[0]))           # noqa: PTH120


def __getattr__(name: str) -> object:
    """A public name, imported from its module on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'arrayloom' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
