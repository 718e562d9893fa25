"""``arrayloom client``: files from which clients in other languages are built."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.artifact_commands import add_group
from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.host.runtime.errors import InputError


def add_parser(commands: Any) -> None:
    group = add_group(commands, "client", "write the files from which clients in other languages are built")
    parser = add_command(group, "protos", _protos, "write the .proto files of the service's protocols",
                         "arrayloom client protos -o protos")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR",
                        help="folder for the files; it is created, and existing files are replaced")
    add_json(parser)


def _protos(options: argparse.Namespace) -> int:
    try:
        from arrayloom.host.serving.protocols.proto_files import proto_files
    except ModuleNotFoundError as error:
        raise InputError(f"arrayloom client protos needs the package {error.name}; install it with: "
                         "pip install '.[serve]'") from None
    written = []
    for name, text in proto_files().items():
        written.append(options.output / name)
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            written[-1].write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{written[-1]}: cannot be written: {error.strerror}; give another folder") from None
    if options.json:
        print_json({"files": [str(path) for path in written]})
    else:
        print("\n".join(f"wrote  {path}" for path in written))
    return 0
