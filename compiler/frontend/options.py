"""What the user permits an import to do."""

from dataclasses import dataclass
from enum import Enum

#: Share of a network's multiply-accumulates that may lie on the host without being asked for.
SMALL_SHARE = 0.01


class HostPolicy(Enum):
    """How much of a network the host may compute in float, at its beginning and its end."""

    NONE = "none"    # only the border: Q and DQ, softmax, reshapes and transposes of inputs and outputs
    SMALL = "small"  # up to SMALL_SHARE of the multiply-accumulates
    ANY = "any"


@dataclass(frozen=True)
class ImportOptions:
    """What an import may do.

    Attributes:
        host: how much of the network may lie on the host.
        insert_rounding: whether a value that lies in float between two integer layers may be quantized.
    """

    host: HostPolicy = HostPolicy.SMALL
    insert_rounding: bool = False


DEFAULT_OPTIONS = ImportOptions()
