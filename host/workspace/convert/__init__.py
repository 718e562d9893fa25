"""Conversion of registered models to registered programs."""

from arrayloom.host.workspace.convert.converter import AccelOnnxConverter
from arrayloom.host.workspace.convert.torch import export_module

__all__ = ["AccelOnnxConverter", "export_module"]
