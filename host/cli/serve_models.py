"""How ``arrayloom serve`` handles models: each becomes a bundle in a temporary folder."""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from arrayloom.host.cli.bar import progress_bar
from arrayloom.host.cli.bundle import PREPROCESS_HELP, bundle_of, is_model
from arrayloom.host.cli.common import add_config
from arrayloom.host.cli.import_options import options_of_models
from arrayloom.host.cli.label_options import LABELS_HELP
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving.core.logs import log

if TYPE_CHECKING:
    from arrayloom.host.serving.core.repository import Labels
    from arrayloom.host.serving.protocols.tensorflow.model_config import Served

OPTIONS = ("preprocess", "labels", "config", "model_name")


def add_models(parser: argparse.ArgumentParser) -> None:
    """Adds the options for models, which bundles do not need."""
    group = parser.add_argument_group("for a MODEL", "a bundle contains all of this already")
    group.add_argument("--preprocess", metavar="NAME", help=PREPROCESS_HELP)
    group.add_argument("--labels", type=Path, metavar="FILE|NAME", help=LABELS_HELP)
    group.add_argument("--model-name", metavar="NAME",
                       help="name that clients ask for (default: the file's name without its suffix)")
    add_config(group, default=None)
    parser.add_argument("--model-config-file", type=Path, metavar="FILE",
                        help="models, versions and labels in the format of TensorFlow Serving's --model_config_file")


def check(options: argparse.Namespace) -> None:
    """Raises ``InputError`` for conflicting options before any work."""
    if not options.bundles and options.model_config_file is None:
        raise InputError("nothing to serve: name a model or a bundle's folder, or give --model-config-file")
    models = [path for path in options.bundles if is_model(path)]
    for name in OPTIONS:
        if getattr(options, name) is not None and not models:
            raise InputError(f"--{name.replace('_', '-')}: is for a model, and none is given but bundles, "
                             "which have their own; leave it out")
    if options.model_name is not None and len(models) > 1:
        raise InputError(f"--model-name {options.model_name}: {len(models)} models cannot have one name; give one "
                         "of them, or make bundles (arrayloom bundle --name)")
    stems = {path.stem for path in models}
    if len(stems) < len(models):
        raise InputError(f"{', '.join(map(str, models))}: two of these would have the same name; make bundles of them "
                         "(arrayloom bundle --name, --version)")


@contextlib.contextmanager
def as_bundles(options: argparse.Namespace) -> "Iterator[tuple[list[Path], Labels]]":
    """The folders of bundles to serve, and version labels; models are compiled, with progress, and their bundles removed
    at the end."""
    configured = _configured(options)
    if not any(is_model(path) for path in options.bundles):
        yield [*options.bundles, *configured.folders], configured.labels
        return
    signal.signal(signal.SIGTERM, _leave)       # so that temporary bundles are removed; the service has its own handler
    with tempfile.TemporaryDirectory(prefix="arrayloom-serve-") as made:
        given = [_made(path, Path(made), options) if is_model(path) else path for path in options.bundles]
        yield [*given, *configured.folders], configured.labels


def _configured(options: argparse.Namespace) -> "Served":
    from arrayloom.host.serving.protocols.tensorflow.model_config import Served, read

    return Served([], {}) if options.model_config_file is None else read(options.model_config_file)


def _made(path: Path, place: Path, options: argparse.Namespace) -> Path:
    begin = time.monotonic()
    log.info("compiling %s", path, extra={"event": "compiling", "model": str(path)})
    with progress_bar(f"compiling {path.name}", options.json, "groups") as progress:
        bundle = bundle_of(path, options.model_name, options, options_of_models(options), progress)
    folder = place / bundle.name
    bundle.save(folder)
    log.info("compiled %s", path, extra={"event": "compiled", "model": bundle.name, "config": bundle.program.config,
                                         "instructions": len(bundle.program), "notes": bundle.program.notes,
                                         "seconds": round(time.monotonic() - begin, 3)})
    return folder


def _leave(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
