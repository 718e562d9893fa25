"""Quantizes a float ONNX network, with photographs, to an int8 network that the accelerator executes bit for bit."""

from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.calibration import Calibration, load_classes
from arrayloom.host.models.quantize.calibration_files import Port
from arrayloom.host.models.quantize.layer_error import LayerError
from arrayloom.host.models.quantize.quantizer import Agreement, Quantized, compare_classes, is_classifier, quantize
from arrayloom.host.models.quantize.scales import METHODS, Progress

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
