"""``arrayloom train-head``: trains a user's own classifier on features from the accelerator."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_command, add_json, print_json, require_writable
from arrayloom.host.models.heads import load_examples, train_head
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.outputs import save_model

_SHOWN = 10     # classes in the printed output


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "train-head", _run, "train a classifier of your own on a network's features",
                         "arrayloom train-head features.npz labels.txt -o head.onnx")
    parser.add_argument("features", type=Path, metavar="FEATURES.npz", help="file from arrayloom score --features")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="the class of each row: text, one per line, or an .npy")
    parser.add_argument("--held-out", type=float, default=0.25, metavar="SHARE",
                        help="fraction of the rows held out to measure the accuracy (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed that selects those rows (default "
                                                                         "%(default)s)")
    parser.add_argument("--penalty", type=float, default=1.0, metavar="L2",
                        help="strength of the L2 penalty; use more for few examples (default %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="HEAD.onnx")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    require_writable(options.output)
    if options.seed < 0:
        raise InputError(f"--seed {options.seed}: must be a whole number from 0")
    examples = load_examples(options.features, options.labels)
    try:
        trained = train_head(examples, options.held_out, options.seed, options.penalty)
    except ImportError:
        raise InputError("training needs scikit-learn; pip install '.[train]'") from None
    save_model(trained.model, options.output)
    if options.json:
        print_json({"output": str(options.output), "classes": trained.labels, "features": examples.features.shape[1],
                    "trained": trained.trained, "held_out": trained.held_out, "accuracy": trained.accuracy,
                    "training_accuracy": trained.training_accuracy, "notices": examples.notices})
        return 0
    more = " ..." if len(trained.labels) > _SHOWN else ""
    print(f"classes      {len(trained.labels)}: {', '.join(trained.labels[:_SHOWN])}{more}")
    print(f"features     {examples.features.shape[1]} of {examples.model or 'a network'}")
    print(f"accuracy     {trained.accuracy:.1%} of {trained.held_out} held-out rows; {trained.training_accuracy:.1%} of the "
          f"{trained.trained} trained on")
    for notice in examples.notices:
        print(f"notice       {notice}")
    print(f"wrote        {options.output}")
    return 0
