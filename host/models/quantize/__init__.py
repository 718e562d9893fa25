"""From a float ONNX network and photographs to an int8 network that the accelerator executes bit for bit."""

from arrayloom.host.models.quantize.agreement import Agreement, compare_classes, is_classifier
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.models.quantize.labels import load_classes
from arrayloom.host.models.quantize.measure import LayerError
from arrayloom.host.models.quantize.port import Port
from arrayloom.host.models.quantize.quantizer import METHODS, Progress, Quantized, quantize

__all__ = [
    "METHODS",
    "Agreement",
    "Calibration",
    "LayerError",
    "Port",
    "Progress",
    "QuantizeError",
    "Quantized",
    "compare_classes",
    "is_classifier",
    "load_classes",
    "quantize",
]
