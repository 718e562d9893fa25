"""Bundles: a compiled program with all that serving it needs, in one folder that can be checked."""

from arrayloom.host.bundle.bundle import Bundle
from arrayloom.host.bundle.manifest import MANIFEST, BundleError, Manifest

__all__ = ["MANIFEST", "Bundle", "BundleError", "Manifest"]
