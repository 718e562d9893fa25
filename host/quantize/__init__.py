"""From a float ONNX network and photographs to an int8 network that the accelerator executes bit for bit."""

from host.quantize.calibration import Calibration
from host.quantize.errors import QuantizeError
from host.quantize.port import Port
from host.quantize.quantizer import METHODS, Quantized, quantize

__all__ = ["METHODS", "Calibration", "Port", "QuantizeError", "Quantized", "quantize"]
