"""From a float ONNX network and photographs to an int8 network that the accelerator executes bit for bit."""

from host.quantize.agreement import Agreement, compare_classes, is_classifier
from host.quantize.calibration import Calibration
from host.quantize.errors import QuantizeError
from host.quantize.labels import load_classes
from host.quantize.measure import LayerError
from host.quantize.port import Port
from host.quantize.quantizer import METHODS, Progress, Quantized, quantize

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
