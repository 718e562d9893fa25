"""``arrayloom score``: classes and features of images."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arrayloom.compiler.frontend import NOTICE_PREFIX, import_model
from arrayloom.host.cli import score_draw, score_service
from arrayloom.host.cli.bar import run_progress
from arrayloom.host.cli.common import (
    add_backend,
    add_command,
    add_config,
    add_json,
    lines_of_report,
    notices,
    print_json,
    require_writable,
    save_arrays,
)
from arrayloom.host.cli.score_results import by_head, by_network, lines
from arrayloom.host.cli.waves import add_waves, device_of
from arrayloom.host.models.heads import Head
from arrayloom.host.runtime.boundary import InputError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.report import total
from arrayloom.host.runtime.session import Features, Session, is_program, load_program
from arrayloom.host.vision.classify import Ranked, load_labels
from arrayloom.isa.program import Program


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "score", _run, "classify images, and write their features",
                         "arrayloom score resnet18_int8.onnx owl.jpg --preprocess imagenet --labels imagenet_classes.txt")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx|PROGRAM.loom")
    images = parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for the images")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to print (default 5)")
    parser.add_argument("--features", type=Path, metavar="FILE.npz", help="where the features go")
    parser.add_argument("--head", type=Path, metavar="HEAD.onnx",
                        help="classify by a head of arrayloom train-head instead of the network's own classifier")
    parser.add_argument("--threshold", type=float, default=0.5, metavar="P",
                        help="least confidence of a box, for detectors (default %(default)s)")
    add_config(parser, default=None)
    add_backend(parser, "onnxruntime")
    add_waves(parser)
    add_json(parser)
    score_draw.add_option(parser)
    score_service.add_options(parser, images)


def _run(options: argparse.Namespace) -> int:
    if options.features:
        require_writable(options.features)
    if options.top < 1:
        raise InputError(f"--top {options.top}: must be at least 1")
    score_draw.check(options.draw)
    if score_service.is_asked(options):
        return score_service.run(options)
    labels = load_labels(options.labels) if options.labels else None
    head = _head(options)
    program = load_program(options.model, options.config)
    batches = [load_inputs(image, program.inputs, options.preprocess) for image in options.images]
    run = _with_onnxruntime if options.backend == "onnxruntime" else _on_device
    outcome = run(options, program, batches)
    if head:
        rankings = [by_head(head, features.values, options.top) for features in outcome.features]
    else:
        names = [port.name for port in program.outputs]
        rankings = [by_network(outputs, names, options.top, labels, options.threshold) for outputs in outcome.outputs]
    if options.features:
        _save_features(options, program, outcome.features)
    score_draw.draw(options.draw, options.images, [ranked[0] for ranked in rankings])
    _print(options, program, rankings, outcome)
    return 0


def _head(options: argparse.Namespace) -> Head | None:
    if options.head and options.labels:
        raise InputError("--labels: a head has class names of its own; leave out either this or --head")
    return Head(options.head) if options.head else None


def _save_features(options: argparse.Namespace, program: Program, features: list[Features]) -> None:
    files = [str(image) for image, each in zip(options.images, features, strict=True) for _ in each.values]
    marked = [note.removeprefix(NOTICE_PREFIX) for note in program.notes if note.startswith(NOTICE_PREFIX)]
    save_arrays(options.features, {"features": np.concatenate([f.values for f in features]),
                                   "features_integer": np.concatenate([f.integers for f in features]),
                                   "files": np.array(files), "model": np.array(str(options.model)),
                                   "notices": np.array(marked, dtype=str)})


class Outcome(NamedTuple):
    """Of each file: its outputs by name, and its features where they were asked for; the run as lines and figures."""

    outputs: list[dict[str, np.ndarray[Any, Any]]]
    features: list[Features]
    lines: list[str]
    figures: dict[str, Any]


def _on_device(options: argparse.Namespace, program: Program, batches: list[dict[str, Any]]) -> Outcome:
    outputs, features, reports = [], [], []
    with Session(program, device=device_of(options, program.configuration)) as session, \
            run_progress("scoring", options.json) as progress:
        for batch in batches:
            if options.features or options.head:
                found, feature = session.score(batch, progress)
                features.append(feature)
            else:
                found = session.run(batch, progress)
            outputs.append(found)
            reports.append(session.report)
    report = total(reports)
    return Outcome(outputs, features, list(lines_of_report(report)), report.figures())


def _with_onnxruntime(options: argparse.Namespace, _: Program, batches: list[dict[str, Any]]) -> Outcome:
    if options.waves:
        raise InputError("--waves with --backend onnxruntime: only the rtl backend has waveforms")
    if is_program(options.model) or options.features or options.head:
        raise InputError("--backend onnxruntime scores a MODEL.onnx, and has no features; use rtl or emulator")
    reference = Reference(import_model(options.model).integer_model)
    return Outcome([reference.run(batch) for batch in batches], [], [], {})


def _print(options: argparse.Namespace, program: Program, rankings: list[list[list[Ranked]]], outcome: Outcome) -> None:
    if options.json:
        images = [{"file": str(file), "top": [vars(entry) for entry in ranking]}
                  for file, ranked in zip(options.images, rankings, strict=True) for ranking in ranked]
        print_json({"model": str(options.model), "backend": options.backend, "images": images, "notes": program.notes}
                   | outcome.figures)
        return
    for file, ranked in zip(options.images, rankings, strict=True):
        for ranking in ranked:
            print(file, *lines(ranking), sep="\n")
    print("\n".join([*outcome.lines, *notices(program.notes)]))
