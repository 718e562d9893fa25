"""OCI images of registered programs: built without a daemon, run without a container engine."""

from arrayloom.host.workspace.image.image import AccelContainerImage, Image, ImageConfiguration

__all__ = ["AccelContainerImage", "Image", "ImageConfiguration"]
