"""Compares the emulator as a device with ONNX Runtime: seconds for a batch, from inputs to outputs, and differing
bytes.

Both run alternately in one process with the same number of threads. Figures are from the fastest turn, since other load only
adds time, and affects the slower of the two more often. ONNX Runtime runs the original model with its default optimizations.
``python -m benchmarks.device resnet50_int8.onnx --batch 1 16 --threads 1``; exit code 1 if a byte differs.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.host.cli.common import add_config
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.session import Session
from arrayloom.host.serving.core.memory import trim
from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.isa.config import load_config
from arrayloom.isa.host_parts import ModelPort
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver

Batch = dict[str, NDArray[Any]]
Outputs = dict[str, NDArray[Any]]

WARM_TURNS = 2
FEWEST_TURNS = 5


class OnnxRuntime:
    """The original model, run image by image if its batch is fixed."""

    def __init__(self, model: onnx.ModelProto, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

    def run(self, batch: Batch) -> None:
        self._session.run(None, batch)


def measure(imported: ImportedModel, session: Session, batch: Batch, threads: int, seconds: float) -> dict[str, Any]:
    """One row: runs both alternately for the given seconds, and compares their results."""
    theirs = OnnxRuntime(imported.original, threads)
    ours_seconds, their_seconds = _in_turns([lambda: session.run(batch), lambda: theirs.run(batch)], seconds)
    wanted, got = ModelReference(imported).run(batch), session.run(batch)
    return {"batch": len(next(iter(batch.values()))), "arrayloom_seconds": ours_seconds,
            "onnxruntime_seconds": their_seconds, "ratio": ours_seconds / their_seconds,
            "bytes_differing": sum(_differing(wanted[name], got[name]) for name in wanted),
            "bytes_compared": sum(values.nbytes for values in wanted.values())}


def _in_turns(actions: list[Callable[[], object]], seconds: float) -> list[float]:
    """The shortest time of each action, without the first turns."""
    samples: list[list[float]] = [[] for _ in actions]
    end = None
    while end is None or len(samples[0]) < WARM_TURNS + FEWEST_TURNS or time.perf_counter() < end:
        for action, found in zip(actions, samples, strict=True):
            begin = time.perf_counter()
            action()
            found.append(time.perf_counter() - begin)
        if len(samples[0]) == WARM_TURNS:
            end = time.perf_counter() + seconds
    return [min(found[WARM_TURNS:]) for found in samples]


def _differing(wanted: NDArray[Any], got: NDArray[Any]) -> int:
    if wanted.shape != got.shape or wanted.dtype != got.dtype:
        return max(wanted.nbytes, 1)
    return int(np.count_nonzero(np.frombuffer(wanted.tobytes(), np.uint8) != np.frombuffer(got.tobytes(), np.uint8)))


def random_batch(ports: list[ModelPort], count: int) -> Batch:
    """Seeded images: bytes, or normally distributed floats, approximately like preprocessed photographs."""
    rng = np.random.default_rng(0)
    batch = {}
    for port in ports:
        shape, dtype = (count, *port.shape), np.dtype(port.dtype)
        batch[port.name] = rng.integers(0, 256, shape).astype(np.uint8).view(dtype) if dtype.itemsize == 1 else \
            rng.normal(0, 1, shape).astype(dtype)
    return batch


def _prepared(session: Session) -> dict[str, Any]:
    """The cost of a plan before it runs; memory as held by a replica, which returns the memory needed to make the plan."""
    gc.collect()
    trim()
    before, begin = resident_bytes(os.getpid()), time.perf_counter()
    planned = session.prepare()
    seconds = time.perf_counter() - begin
    gc.collect()
    trim()
    return {"planned": planned, "seconds": seconds, "resident_bytes": resident_bytes(os.getpid()) - before}


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.device", __doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], metavar="N", help="images per batch (default 1 16)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each of the two (default 1)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="seconds for each batch (default 3)")
    add_config(parser)
    return parser


def _action(options: argparse.Namespace) -> int:
    if min(options.batch) < 1 or options.threads < 1 or not options.seconds >= 0:
        raise InputError("--batch and --threads must be at least 1, --seconds not negative")
    config = load_config(options.config)
    imported = import_model(options.model, DEFAULT_OPTIONS.of(config))
    program = compile_graph(imported.graph, config)
    with Session(program, config, device=open_device("emulator", config, threads=options.threads)) as session:
        plan = _prepared(session)
        rows = [measure(imported, session, random_batch(program.model_inputs, count), options.threads, options.seconds)
                for count in options.batch]
    facts = {"model": options.model.name, "config": config.name, "threads": options.threads, "plan": plan, "batches": rows}
    if deliver(options, facts):
        _print(facts)
    return OUTSIDE if any(row["bytes_differing"] for row in rows) else SUCCESS


def _print(facts: dict[str, Any]) -> None:
    table = Table(title=f"{facts['model']} on {facts['config']}, threads: {facts['threads']}", title_justify="left")
    for name in ("batch", "Arrayloom", "ONNX Runtime", "ratio", "bytes that differ"):
        table.add_column(name, justify="right")
    for row in facts["batches"]:
        table.add_row(str(row["batch"]), *(f"{1000 * row[name]:.3f} ms" for name in ("arrayloom_seconds",
                                                                                     "onnxruntime_seconds")),
                      f"{row['ratio']:.2f}", f"{row['bytes_differing']:,} of {row['bytes_compared']:,}")
    Console(markup=False, emoji=False).print(table)


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
