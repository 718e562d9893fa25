"""Serving: bundles, the service that runs them for clients over gRPC and HTTP, and its client."""

from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.serving.errors import BundleError
from arrayloom.host.serving.manifest import MANIFEST, Manifest

__all__ = ["MANIFEST", "Bundle", "BundleError", "Manifest"]
