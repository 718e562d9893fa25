"""``weft score``: classes and features of images."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from compiler.frontend import import_model
from host.boundary import InputError
from host.classify import Ranked, load_labels, rank
from host.cli import score_service
from host.cli.common import (
    add_backend,
    add_command,
    add_config,
    add_json,
    lines_of_report,
    print_json,
    progress_bar,
    require_writable,
    save_arrays,
)
from host.inputs import load_inputs
from host.reference import Reference
from host.session import Features, Session, is_program, load_program
from isa.config import DEFAULT, load_config
from isa.program import Program


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "score", _run, "classify images, and write their features",
                         "weft score resnet18_int8.onnx owl.jpg --preprocess imagenet --labels imagenet_classes.txt")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx|PROGRAM.weft")
    images = parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for the images")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes to print (default 5)")
    parser.add_argument("--features", type=Path, metavar="FILE.npz", help="where the features go")
    add_config(parser, default=None)
    add_backend(parser, "onnxruntime")
    add_json(parser)
    score_service.add_options(parser, images)


def _run(options: argparse.Namespace) -> int:
    if options.features:
        require_writable(options.features)
    if options.top < 1:
        raise InputError(f"--top {options.top}: must be at least 1")
    if score_service.is_asked(options):
        return score_service.run(options)
    labels = load_labels(options.labels) if options.labels else None
    program = _program(options)
    batches = [load_inputs(image, program.inputs, options.preprocess) for image in options.images]
    run = _with_onnxruntime if options.backend == "onnxruntime" else _on_device
    scores, features, lines, figures = run(options, program, batches)
    rankings = [[rank(row, options.top, labels) for row in score] for score in scores]
    if features:
        save_arrays(options.features, {"features": np.concatenate([f.values for f in features]),
                                       "features_integer": np.concatenate([f.integers for f in features]),
                                       "files": np.array([str(image) for image in options.images])})
    _print(options, rankings, lines, figures)
    return 0


def _program(options: argparse.Namespace) -> Program:
    if is_program(options.model):
        program = Program.load(options.model)
        if options.config:
            program.require(load_config(options.config))
        return program
    return load_program(options.model, load_config(options.config or DEFAULT))


Outcome = tuple[list[np.ndarray[Any, Any]], list[Features], list[str], dict[str, Any]]


def _on_device(options: argparse.Namespace, program: Program, batches: list[dict[str, Any]]) -> Outcome:
    scores, features = [], []
    output = program.outputs[0].name
    with Session(program, program.configuration, options.backend) as session, \
            progress_bar("scoring", options.json) as progress:
        for batch in batches:
            if options.features:
                outputs, feature = session.score(batch, progress)
                features.append(feature)
            else:
                outputs = session.run(batch, progress)
            scores.append(outputs[output])
        report = session.report
    assert report is not None
    return scores, features, list(lines_of_report(report)), report.figures()


def _with_onnxruntime(options: argparse.Namespace, program: Program, batches: list[dict[str, Any]]) -> Outcome:
    if is_program(options.model) or options.features:
        raise InputError("--backend onnxruntime scores a MODEL.onnx, and writes no features; use rtl or emulator")
    reference = Reference(import_model(options.model).integer_model)
    output = program.outputs[0].name
    return [reference.run(batch)[output] for batch in batches], [], [], {}


def _print(options: argparse.Namespace, rankings: list[list[list[Ranked]]], lines: list[str],
           figures: dict[str, Any]) -> None:
    if options.json:
        images = [{"file": str(file), "top": [vars(entry) for entry in ranking]}
                  for file, ranked in zip(options.images, rankings, strict=True) for ranking in ranked]
        print_json({"model": str(options.model), "backend": options.backend, "images": images} | figures)
        return
    for file, ranked in zip(options.images, rankings, strict=True):
        for ranking in ranked:
            print(file)
            for entry in ranking:
                print(f"  {entry.confidence:7.2%}  {entry.label}")
    print("\n".join(lines))
