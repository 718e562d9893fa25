"""The five networks of the re-created service, float and quantized."""

from arrayloom.host.models.errors import NetworkError, WeightsError
from arrayloom.host.models.networks.build import Built, build_float, build_quantized
from arrayloom.host.models.networks.network_classes import (
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
from arrayloom.host.models.networks.specs import SPECS, Spec, find_spec

__all__ = [
    "SPECS",
    "Built",
    "Densenet121",
    "NetworkError",
    "QuantizedDensenet121",
    "QuantizedResnet50",
    "QuantizedResnet152",
    "QuantizedSsdVgg",
    "QuantizedVgg16",
    "Resnet50",
    "Resnet152",
    "Spec",
    "SsdVgg",
    "Vgg16",
    "WeightsError",
    "build_float",
    "build_quantized",
    "find_spec",
]
