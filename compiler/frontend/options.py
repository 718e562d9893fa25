"""What the user permits an import to do."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Self

from arrayloom.compiler.errors import CompileError
from arrayloom.isa.config import Config

#: Fraction of a network's multiply-accumulates that the host may compute by default.
SMALL_SHARE = 0.01


class HostPolicy(StrEnum):
    """How much of a network the host may compute in float, at its beginning and its end."""

    NONE = "none"    # only the border: Q and DQ, softmax, reshapes and transposes of inputs and outputs
    SMALL = "small"  # up to SMALL_SHARE of the multiply-accumulates
    ANY = "any"

    @classmethod
    def of(cls, text: str) -> Self:
        """Returns the policy with this text; raises `CompileError` for an unknown one."""
        try:
            return cls(text)
        except ValueError:
            raise CompileError(f"host {text!r}: unknown; known are {', '.join(cls)}") from None

    def __repr__(self) -> str:
        """Returns the text that a caller may write."""
        return repr(self.value)


@dataclass(frozen=True)
class ImportOptions:
    """What an import may do.

    Attributes
    ----------
    host
        How much of the network the host may compute; a caller may write the text, such as "any".
    insert_rounding
        Whether a float value between two integer layers may be quantized.
    attention
        Whether the accelerator has the ATTENTION unit, for attention and layer normalization.

    Raises
    ------
    CompileError
        `host` is an unknown text.
    """

    host: HostPolicy = HostPolicy.SMALL
    insert_rounding: bool = False
    attention: bool = False

    def of(self, config: Config) -> Self:
        """Returns the options for an accelerator with this configuration."""
        return replace(self, attention=bool(config.attention_lanes))

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", HostPolicy.of(self.host))

    def __repr__(self) -> str:
        """Returns the options that differ from the defaults."""
        given = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(given)})"


DEFAULT_OPTIONS = ImportOptions()
