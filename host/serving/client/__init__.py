"""Clients of a service: ``PredictionClient`` scores images and tensors over gRPC, and needs no TensorFlow."""

from typing import TYPE_CHECKING, Any

from arrayloom.host.serving.errors import ClientError

if TYPE_CHECKING:
    from arrayloom.host.serving.client.prediction import PredictionClient, client_from_service
    from arrayloom.host.serving.client.transport import Retries

__all__ = ["ClientError", "PredictionClient", "Retries", "client_from_service"]


def __getattr__(name: str) -> Any:
    """Imports each name on first use: gRPC is slow to import, and the command line rarely needs it."""
    if name not in __all__:
        raise AttributeError(f"module 'arrayloom.host.serving.client' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("arrayloom.host.serving.client.prediction"), name)
