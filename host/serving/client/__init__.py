"""Clients of a service: ``PredictionClient`` scores images and tensors over gRPC, and needs no TensorFlow."""

from typing import TYPE_CHECKING, Any

from arrayloom.host.serving.errors import ClientError

if TYPE_CHECKING:
    from arrayloom.host.serving.client.prediction import PredictionClient, Retries, client_from_service

__all__ = ["ClientError", "PredictionClient", "Retries", "client_from_service"]


def __getattr__(name: str) -> Any:
    """Each name on first use: gRPC is an extra, and the command line must do without it."""
    if name not in __all__:
        raise AttributeError(f"module 'arrayloom.host.serving.client' has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module("arrayloom.host.serving.client.prediction"), name)
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} needs the package {error.name}; install it with: pip install '.[serve]'") from None
