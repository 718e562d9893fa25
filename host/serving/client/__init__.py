"""Clients of a service: ``PredictionClient`` scores images and tensors over gRPC, and needs no TensorFlow."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arrayloom.host.serving.client.client import PredictionClient
    from arrayloom.host.serving.client.connect import client_from_service
    from arrayloom.host.serving.client.errors import ClientError
    from arrayloom.host.serving.client.retry import Retries

__all__ = ["ClientError", "PredictionClient", "Retries", "client_from_service"]

_MODULES = {"ClientError": "errors", "PredictionClient": "client", "Retries": "retry", "client_from_service": "connect"}


def __getattr__(name: str) -> Any:
    """Each name on first use: gRPC is an extra, and the command line must do without it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'arrayloom.host.serving.client' has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"arrayloom.host.serving.client.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} needs the package {error.name}; install it with: pip install '.[serve]'") from None
