"""What the server calls itself."""

from importlib.metadata import PackageNotFoundError, version

SERVER = "arrayloom"

try:
    VERSION = version("arrayloom")
except PackageNotFoundError:        # run from a source tree
    VERSION = "unknown"
