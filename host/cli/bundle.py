"""``arrayloom bundle``: makes a bundle from a model or a program; also used by ``serve``."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.host.cli.bar import progress_bar
from arrayloom.host.cli.common import add_command, add_config, add_json, lines_of_notices, notes_alone, print_json
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.cli.label_options import LABELS_HELP
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.host.runtime.session import load_program
from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.serving.manifest import MANIFEST, NAME
from arrayloom.host.vision import recipe
from arrayloom.host.vision.classify import load_labels
from arrayloom.isa.config import DEFAULT, load_config
from arrayloom.isa.program import Program, is_program

PREPROCESS_HELP = "recipe that turns an image into the network's input; without it, only tensors are accepted"


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "bundle", _run, "make a bundle of a model, for serve",
                         "arrayloom bundle resnet18_int8.onnx --preprocess imagenet --labels imagenet -o resnet18")
    parser.add_argument("model", type=Path, metavar="MODEL", help="quantized .onnx, or a program (.loom)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder to create")
    parser.add_argument("--name", metavar="NAME", help="the name that clients ask for (default: the file's name without "
                                                       "its suffix)")
    parser.add_argument("--version", type=int, default=1, metavar="N", help="version of the model (default 1)")
    parser.add_argument("--preprocess", metavar="NAME", help=PREPROCESS_HELP)
    parser.add_argument("--labels", type=Path, metavar="FILE|NAME", help=LABELS_HELP)
    add_config(parser, default=None)
    add_import_options(parser, takes_programs=True)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    require_new(options.output)
    with progress_bar(f"compiling {options.model.name}", options.json, "groups") as progress:
        bundle = bundle_of(options.model, options.name, options, import_options(options), progress, options.version)
    bundle.save(options.output)
    program = bundle.program
    if options.json:
        print_json({"bundle": str(options.output), "name": bundle.name, "version": bundle.version, "config": program.config,
                    "preprocess": bundle.recipe, "labels": None if bundle.labels is None else len(bundle.labels),
                    "notes": program.notes, "notices": program.notices} | figures_of_host(program))
        return 0
    print(f"{options.output}: {bundle.name} version {bundle.version}, {len(program)} instructions for {program.config}")
    print(f"preprocess   {bundle.recipe or 'none, it accepts tensors only'}")
    print(f"labels       {f'{len(bundle.labels):,}' if bundle.labels else 'none'}")
    for line in [*lines_of_host(program), *(f"note         {note}" for note in notes_alone(program.notes)),
                 *lines_of_notices(program.notices)]:
        print(line)
    return 0


def require_new(folder: Path) -> None:
    """Raises ``InputError`` before any work if a folder exists already or cannot be created."""
    if folder.exists():
        raise InputError(f"{folder}: exists already; choose another folder or remove it first")
    if not folder.parent.is_dir():
        raise InputError(f"{folder}: cannot be made: {folder.parent} is not a folder")


def is_model(path: Path) -> bool:
    """Whether a path given to ``serve`` is a model or a program rather than a bundle's folder."""
    return path.is_file() or (path.suffix in (".onnx", ".loom") and not path.is_dir())


def bundle_of(path: Path, name: str | None, options: argparse.Namespace, imported: ImportOptions, progress: Any,
              version: int = 1) -> Bundle:
    """The bundle of a model or program file, by the options ``preprocess``, ``labels`` and ``config``.

    ``progress`` is called with the number of compiled parts and the total.
    """
    chosen = _name_of(path) if name is None else name
    if options.preprocess is not None:
        recipe(options.preprocess)      # an unknown one is refused before any work
    labels = None if options.labels is None else load_labels(options.labels)
    return Bundle.create(chosen, _program_of(path, options, imported, progress), version, labels, options.preprocess,
                         {"file": path.name})


def _name_of(path: Path) -> str:
    if path.name == MANIFEST:
        raise InputError(f"{path}: is a bundle's list of files; give its folder, {path.parent}")
    if not NAME.fullmatch(path.stem):
        raise InputError(f"{path}: {path.stem!r} cannot be a model's name: letters, digits, '-', '.' and '_' only; give "
                         "another (bundle --name, serve --model-name)")
    return path.stem


def _program_of(path: Path, options: argparse.Namespace, imported: ImportOptions, progress: Any) -> Program:
    if is_program(path):
        return load_program(path, options.config, imported)
    return compile_model(path, load_config(options.config or DEFAULT), imported, progress)
