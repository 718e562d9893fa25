"""``arrayloom score``: classes and features of images."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from arrayloom.compiler.frontend import import_model
from arrayloom.host.cli import score_detectors, score_service
from arrayloom.host.cli.bar import run_progress, tasks_progress
from arrayloom.host.cli.common import (
    add_backend,
    add_command,
    add_config,
    add_json,
    lines_of_notices,
    lines_of_report,
    print_json,
    require_no_board_port,
    require_writable,
)
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.cli.label_options import LABELS_HELP
from arrayloom.host.cli.pool_options import add_workers, lines_of_tasks, workers_of
from arrayloom.host.cli.wave_options import add_waves, device_of, require_no_waves
from arrayloom.host.models.heads import Head
from arrayloom.host.models.scoring import (
    TOP_CLASSES,
    Batch,
    Network,
    Scores,
    known_labels,
    rank_outputs,
    score_by_reference,
    score_on_device,
)
from arrayloom.host.models.scoring_spread import score_spread
from arrayloom.host.pool.task import Workers
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.outputs import save_features
from arrayloom.host.runtime.session import load_program
from arrayloom.host.vision import images_in
from arrayloom.host.vision.classify import Located, Ranked, rank
from arrayloom.host.vision.detection import Detector
from arrayloom.isa.config import load_config
from arrayloom.isa.program import Program, is_program

_Scored = tuple[Scores, list[dict[str, Any]]]   # with ``Done.figures`` of the tasks if workers ran them
_Run = Callable[[Iterable[Batch]], _Scored]


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "score", _run, "classify images, and write their features",
                         "arrayloom score resnet18_int8.onnx owl.jpg --preprocess imagenet --labels imagenet")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx|PROGRAM.loom")
    images = parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE",
                                 help="a folder means all images in it")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for the images")
    parser.add_argument("--labels", type=Path, metavar="FILE|NAME", help=LABELS_HELP)
    parser.add_argument("--top", type=int, metavar="N", help="classes or boxes to print (default 5 classes, 300 boxes)")
    parser.add_argument("--features", type=Path, metavar="FILE.npz", help="file for the features")
    parser.add_argument("--head", type=Path, metavar="HEAD.onnx",
                        help="classify with a head from arrayloom train-head instead of the network's own classifier")
    add_config(parser, default=None)
    add_backend(parser, "onnxruntime")
    add_waves(parser)
    add_workers(parser)
    add_import_options(parser, takes_programs=True)
    add_json(parser)
    score_detectors.add_options(parser)
    score_service.add_options(parser, images)


def _run(options: argparse.Namespace) -> int:
    if options.features:
        require_writable(options.features)
    if options.top is not None and options.top < 1:
        raise InputError(f"--top {options.top}: must be at least 1")
    if score_service.is_asked(options):
        return _by_service(options)
    options.images = _files(options.images)
    score_detectors.check(options, options.images)
    labels = score_detectors.labels_of(options.labels)
    head = _head(options)
    network, run = _chosen(options)
    detector = None if head else _detector(options, network)
    scores, tasks = run(load_inputs(image, network.model_inputs, options.preprocess) for image in options.images)
    rankings = _rankings(options, network, scores, head, labels, detector)
    if options.features:
        files = [str(image) for image, each in zip(options.images, scores.features, strict=True) for _ in each.values]
        save_features(options.features, scores.features, files, str(options.model), scores.notices)
    score_detectors.draw(options.draw, options.images, [ranked[0] for ranked in rankings])
    if options.json:
        print_json({"model": str(options.model), "backend": options.backend, "images": _figures(options.images, rankings),
                    "notes": scores.notes, "notices": scores.notices} | score_detectors.figures(detector)
                   | figures_of_host(scores) | ({"tasks": tasks} if tasks else {})
                   | (scores.report.figures() if scores.report else {}))
    else:
        print("\n".join(_lines(options.images, rankings)))
        of_run = lines_of_report(scores.report) if scores.report else ()
        print("\n".join([*score_detectors.lines(detector), *lines_of_host(scores), *of_run, *lines_of_tasks(tasks),
                         *lines_of_notices(scores.notices)]))
    return 0


def _by_service(options: argparse.Namespace) -> int:
    files = _files([options.model, *options.images])
    score_detectors.check(options, files)
    rankings, detector = score_service.rank_files(options, files)
    score_detectors.draw(options.draw, files, rankings)
    of_images = [[ranking] for ranking in rankings]
    if options.json:
        print_json({"service": options.service or options.address, "images": _figures(files, of_images)}
                   | score_detectors.figures(detector))
    else:
        print("\n".join([*_lines(files, of_images), *score_detectors.lines(detector)]))
    return 0


def _files(paths: Sequence[Path]) -> list[Path]:
    """The paths, with each folder replaced by its images; raises ``ImageError`` for a folder without images."""
    return [file for path in paths for file in (images_in(path) if path.is_dir() else [path])]


def _head(options: argparse.Namespace) -> Head | None:
    for name, what in (("labels", "class names"), ("detector", "classes")):
        if options.head and getattr(options, name) is not None:
            raise InputError(f"--{name}: a head has {what} of its own; leave out either this or --head")
    return Head(options.head) if options.head else None


def _chosen(options: argparse.Namespace) -> tuple[Network, _Run]:
    """The network, and the function that scores batches with it; raises ``InputError`` for conflicting options."""
    where = workers_of(options)
    if options.backend != "board":
        require_no_board_port(options, f"the backend {options.backend} has none")
    elif where is not None:
        raise InputError("--workers and --ray with --backend board: one process has the board; leave them out")
    if options.backend == "onnxruntime":
        if where is not None:
            raise InputError("--workers and --ray with --backend onnxruntime: it uses all processors by itself; leave "
                             "them out")
        return _by_reference(options)
    program = load_program(options.model, options.config, import_options(options))
    return program, partial(_on_device, options, program) if where is None else partial(_spread, options, program, where)


def _on_device(options: argparse.Namespace, program: Program, batches: Iterable[Batch]) -> _Scored:
    loaded, device = list(batches), device_of(options, program.configuration)
    with run_progress("scoring", options.json) as progress:
        return score_on_device(program, loaded, device, _with_features(options), progress), []


def _spread(options: argparse.Namespace, program: Program, where: Workers, batches: Iterable[Batch]) -> _Scored:
    require_no_waves(options, "they are of one run on this machine; leave out --workers and --ray")
    named = zip(map(str, options.images), batches, strict=True)
    with tasks_progress("scoring", options.json, "images") as progress:
        return score_spread(program, named, where, options.backend, _with_features(options), progress)


def _with_features(options: argparse.Namespace) -> bool:
    return bool(options.features or options.head)


def _by_reference(options: argparse.Namespace) -> tuple[Network, _Run]:
    if options.waves:
        raise InputError("--waves with --backend onnxruntime: only the rtl backend has waveforms")
    if is_program(options.model) or options.features or options.head:
        raise InputError("--backend onnxruntime scores a MODEL.onnx, and has no features; use rtl or emulator")
    permitted = import_options(options)
    if options.config is not None:
        permitted = permitted.of(load_config(options.config))   # every backend refuses an unknown one
    imported = import_model(options.model, permitted)
    return imported.graph, lambda batches: (score_by_reference(imported, batches), [])


def _detector(options: argparse.Namespace, network: Network) -> Detector | None:
    shapes = {port.name: (1, *port.shape) for port in network.model_outputs}
    return score_detectors.detector_of(options, shapes, _input_shape(network))


def _input_shape(network: Network) -> tuple[int, ...] | None:
    """Shape [N, ...] of the only input, with N = 1; None if there are several."""
    return (1, *network.model_inputs[0].shape) if len(network.model_inputs) == 1 else None


def _rankings(options: argparse.Namespace, network: Network, scores: Scores, head: Head | None, labels: list[str] | None,
              detector: Detector | None) -> list[list[list[Ranked]]]:
    """For each image of each file, the best classes or boxes."""
    if head:
        return [[rank(row, options.top or TOP_CLASSES, head.labels) for row in head(features.values)]
                for features in scores.features]
    names = labels or known_labels(network, detector)
    return [rank_outputs(outputs, network.model_outputs, options.top, names, options.threshold,
                         score_detectors.detection(options, detector, file, _input_shape(network), options.preprocess))
            for file, outputs in zip(options.images, scores.outputs, strict=True)]


def _figures(files: Sequence[Path], rankings: Sequence[Sequence[Sequence[Ranked]]]) -> list[dict[str, Any]]:
    """The rankings of all images of all files under their names in ``--json``."""
    return [{"file": str(file), "top": [vars(entry) for entry in ranking]}
            for file, ranked in zip(files, rankings, strict=True) for ranking in ranked]


def _lines(files: Sequence[Path], rankings: Sequence[Sequence[Sequence[Ranked]]]) -> Iterator[str]:
    """The same as lines of text."""
    for file, ranked in zip(files, rankings, strict=True):
        for ranking in ranked:
            yield str(file)
            found = [f"  {entry.confidence:7.2%}  {entry.label}{_place(entry)}" for entry in ranking]
            yield from found or ["  nothing found"]


def _place(entry: Ranked) -> str:
    return "  at " + ", ".join(f"{side:.3f}" for side in entry.box) if isinstance(entry, Located) else ""
