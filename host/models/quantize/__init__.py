"""From a float ONNX network and photographs to an int8 network that the accelerator executes bit for bit."""

from arrayloom.host.quantize.agreement import Agreement, compare_classes, is_classifier
from arrayloom.host.quantize.calibration import Calibration
from arrayloom.host.quantize.errors import QuantizeError
from arrayloom.host.quantize.labels import load_classes
from arrayloom.host.quantize.measure import LayerError
from arrayloom.host.quantize.port import Port
from arrayloom.host.quantize.quantizer import METHODS, Progress, Quantized, quantize

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
