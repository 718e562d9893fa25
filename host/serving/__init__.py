"""Bundles: a compiled program with all that serving it needs, in one folder that can be checked."""

from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.serving.manifest import MANIFEST, BundleError, Manifest

__all__ = ["MANIFEST", "Bundle", "BundleError", "Manifest"]
