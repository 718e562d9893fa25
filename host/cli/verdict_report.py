"""The output of the commands that compare with ONNX Runtime."""

import argparse
from collections.abc import Iterable
from typing import Any

from arrayloom.host.cli.common import lines_of_notices, lines_of_report, print_json
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.host.runtime.verdict import Verdict


def print_verdict(options: argparse.Namespace, verdict: Verdict, lines: Iterable[str] = (), **more: Any) -> int:
    """Prints the verdict, with further ``lines`` of text or ``more`` keys for ``--json``; returns the exit code."""
    if options.json:
        print_json({"model": str(options.model), "config": options.config, "backend": options.backend}
                   | figures(verdict) | more)
    else:
        print("\n".join([*lines_of_verdict(verdict), *lines]))
    return 0 if verdict.equal else 1


def figures(verdict: Verdict) -> dict[str, Any]:
    """The verdict under its names in ``--json``."""
    values: dict[str, Any] = {"tensors_compared": verdict.tensors_compared, "bytes_compared": verdict.bytes_compared,
              "bytes_differing": verdict.bytes_differing, "host_bytes_compared": verdict.host_bytes_compared,
              "host_bytes_differing": verdict.host_bytes_differing, "first_difference": verdict.first_difference}
    if verdict.original_top1_equal is not None:
        values |= {"original_top1_equal": verdict.original_top1_equal,
                   "original_max_abs_error": verdict.original_max_abs_error}
    values |= figures_of_host(verdict)
    return values | {"notes": verdict.notes, "notices": verdict.notices} | verdict.report.figures()


def lines_of_verdict(verdict: Verdict) -> list[str]:
    """The verdict as lines of text."""
    lines = [f"compared     {verdict.bytes_compared:,} bytes of {verdict.tensors_compared} tensors with ONNX Runtime",
             f"differing    {verdict.bytes_differing:,} bytes"]
    if verdict.host_bytes_compared:
        lines.append(f"on the host  {verdict.host_bytes_compared:,} bytes of head and tail compared, "
                     f"{verdict.host_bytes_differing:,} differ")
    if verdict.first_difference:
        lines.append(f"first        {verdict.first_difference}")
    if verdict.original_top1_equal is not None:
        lines.append(f"unlowered    {_agreement(verdict)}")
    return [*lines, *lines_of_host(verdict), *lines_of_report(verdict.report), *lines_of_notices(verdict.notices)]


def _agreement(verdict: Verdict) -> str:
    """How far the first output agrees with that of the original model."""
    if verdict.original_max_abs_error is None:
        return "a first output of another shape"
    first = next(iter(verdict.outputs.values()))
    same = "the same" if verdict.original_top1_equal else "another"
    top = f"{same} top class" if first.size == max(first.shape, default=1) else f"largest value at {same} place"
    return f"{top}, largest difference {verdict.original_max_abs_error:.6g}"
