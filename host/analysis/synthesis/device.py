"""The devices of the ECP5 family that designs are placed on."""

from dataclasses import dataclass

from arrayloom.host.analysis.synthesis.errors import SynthesisError

DEVICES = ("12k", "25k", "45k", "85k")
PACKAGE = "CABGA381"            # there for every size
SPEED_GRADES = (6, 7, 8)        # 8 is the fastest


@dataclass(frozen=True)
class Device:
    """A size and a speed grade. Raises ``SynthesisError`` naming what there is for any other."""

    size: str = "85k"
    speed: int = 6

    def __post_init__(self) -> None:
        if self.size not in DEVICES:
            raise SynthesisError(f"device {self.size!r}: unknown; there are {', '.join(DEVICES)}")
        if self.speed not in SPEED_GRADES:
            raise SynthesisError(f"speed grade {self.speed}: unknown; there are {', '.join(map(str, SPEED_GRADES))}")

    @property
    def name(self) -> str:
        return f"ECP5-{self.size.removesuffix('k')}F-{self.speed}"

    def arguments(self) -> list[str]:
        """The device as nextpnr takes it."""
        return [f"--{self.size}", "--package", PACKAGE, "--speed", str(self.speed)]
