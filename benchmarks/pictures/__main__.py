"""Draws the pictures of the documentation: two block diagrams, and the timeline of a digit on the RTL of `tiny`.

Without ``--check`` they are written; with it they are compared, and exit code 1 says that one has changed.
"""

import argparse
import sys
from pathlib import Path

from arrayloom.host.runtime.errors import InputError
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver
from benchmarks.pictures.diagrams import accelerator, flow
from benchmarks.pictures.timeline import digit

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = {"flow.svg": flow, "accelerator.svg": accelerator, "timeline.svg": digit}


def main() -> int:
    parser = parser_of("benchmarks.pictures", __doc__)
    parser.add_argument("-o", "--output", type=Path, default=DOCS, metavar="DIR", help="folder of the files (default docs)")
    parser.add_argument("--check", action="store_true", help="compare the files that are there, and write nothing")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    changed = [name for name, picture in PICTURES.items() if _settle(options.output / name, picture(), options.check)]
    if deliver(options, {"folder": str(options.output), "pictures": list(PICTURES), "changed": changed}):
        print(f"changed: {', '.join(changed)}" if changed else "nothing has changed")
    return OUTSIDE if options.check and changed else SUCCESS


def _settle(path: Path, drawn: str, check: bool) -> bool:
    """Whether the file is not what is drawn; without ``check`` it then becomes that."""
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == drawn:
            return False
        if not check:
            path.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read or written: {error.strerror}; choose a folder with -o") from None
    return True


if __name__ == "__main__":
    sys.exit(main())
