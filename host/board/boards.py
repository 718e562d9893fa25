"""The boards that a bitstream is built for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from arrayloom.host.runtime.errors import BoardError


@dataclass(frozen=True)
class Board:
    """A board and its properties for the tools.

    Attributes
    ----------
    name
        Name on the command line.
    title
        Name for people.
    chips
        Possible FPGAs, the most common first, each with its arguments for nextpnr.
    clock_mhz
        Default clock of accelerator and bus.
    loader
        Its name in openFPGALoader.
    port
        Default port for the host.
    system
        Module and class of its system.
    """

    name: str
    title: str
    chips: dict[str, tuple[str, ...]]
    clock_mhz: float
    loader: str
    port: str
    system: tuple[str, str]

    def chip(self, name: str | None) -> str:
        """The chip of that name, or the most common one. Raises ``BoardError`` if the board does not have it."""
        chosen = name or next(iter(self.chips))
        if chosen not in self.chips:
            raise BoardError(f"--chip {name}: {self.title} has no such chip; there are {', '.join(self.chips)}")
        return chosen

    def make(self) -> Callable[..., Any]:
        """The class of its system, which takes configuration, chip, clock in Hz and folder."""
        module, name = self.system
        made: Callable[..., Any] = getattr(import_module(module), name)
        return made


def _ulx3s(chip: str) -> tuple[str, ...]:
    return (f"--{chip.lower().replace('f', 'k')}", "--package", "CABGA381", "--speed", "6")


BOARDS = {board.name: board for board in (
    Board("ulx3s", "the ULX3S", {name: _ulx3s(name) for name in ("85F", "45F", "25F", "12F")}, 50.0,
          "ulx3s", "/dev/ttyUSB0", ("arrayloom.host.board.ulx3s", "Ulx3sSystem")),
    Board("ecpix5", "the ECPIX-5", {"85F": ("--um5g-85k", "--package", "CABGA554", "--speed", "8"),
                                   "45F": ("--um5g-45k", "--package", "CABGA554", "--speed", "8")}, 75.0,
          "ecpix5", "udp://192.168.1.50", ("arrayloom.host.board.ecpix5", "Ecpix5System")),
)}


def board_of(name: str) -> Board:
    """The board of that name. Raises ``BoardError`` that lists the boards for any other."""
    if name not in BOARDS:
        raise BoardError(f"board {name!r}: unknown; there are {', '.join(BOARDS)}")
    return BOARDS[name]
