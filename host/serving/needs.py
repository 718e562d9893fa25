"""The packages of the extra ``serve``, which the server needs."""

from importlib.util import find_spec

MODULES = {"grpc": "grpcio", "grpc_reflection": "grpcio-reflection", "google.protobuf": "protobuf", "aiohttp": "aiohttp",
           "prometheus_client": "prometheus-client"}
"""Distributions by the module that they provide."""

REMEDY = "install it with: pip install '.[serve]'"


def missing() -> list[str]:
    """The distributions that are not installed here."""
    return [distribution for module, distribution in MODULES.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:     # its parent package is missing
        return False
