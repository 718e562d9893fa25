"""Loading a bitstream into a board."""

import json
import shutil
import subprocess
from pathlib import Path

from arrayloom.host.board.bitstream_files import FIGURES, LOADABLE
from arrayloom.host.board.boards import Board
from arrayloom.host.runtime.errors import BoardError

LOADER = "openFPGALoader"
SHOWN_LINES = 8


def load_bitstream(board: Board, folder: Path) -> Path:
    """Loads the bitstream of ``board`` in ``folder``, which stays until power is lost; returns its file.

    Raises ``BoardError`` if there is none, its clock was not met, or the loader is missing or fails.
    """
    bitstream = folder / f"{board.name}.{LOADABLE}"
    if not bitstream.is_file():
        raise BoardError(f"{bitstream}: there is no such bitstream: make it with 'arrayloom board {board.name} --build "
                         f"{folder}'")
    figures = json.loads((folder / FIGURES).read_text())
    if not figures["clock_met"]:
        raise BoardError(f"{bitstream}: routed for {figures['clock_mhz']:.1f} MHz, and it would run at "
                         f"{figures['target_mhz']:g} MHz: build it again with a lower --clock")
    loader = shutil.which(LOADER)
    if loader is None:
        raise BoardError(f"{LOADER} is not on PATH: it loads bitstreams. Install it, for example with 'apt-get install "
                         "openfpgaloader', or load the file with another tool")
    done = subprocess.run([loader, "--board", board.loader, str(bitstream)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-SHOWN_LINES:])
        raise BoardError(f"{LOADER} could not load {bitstream}: is {board.title} connected, and may you use its "
                         f"USB port?\n{said}")
    return bitstream
