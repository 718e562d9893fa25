"""Serving: bundles, the service that answers for them over gRPC and HTTP, and its client."""

from arrayloom.host.serving.bundle import MANIFEST, Bundle, Manifest
from arrayloom.host.serving.errors import BundleError

__all__ = ["MANIFEST", "Bundle", "BundleError", "Manifest"]
