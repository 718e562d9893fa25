"""The name and version that the server reports."""

from importlib.metadata import PackageNotFoundError, version

SERVER = "arrayloom"

try:
    VERSION = version("arrayloom")
except PackageNotFoundError:        # not installed, but run from a source tree
    VERSION = "unknown"
