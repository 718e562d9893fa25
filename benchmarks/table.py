"""The tables of the documents: several networks on several configurations, with every tensor compared with ONNX Runtime's.

Without arguments, all rows; exit code 1 if any byte differs.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from arrayloom.host.cli.verify import verify_watched
from arrayloom.isa.config import load_config
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.network import BACKENDS, measure
from benchmarks.networks import NETWORKS, Network, chosen, data_folder
from benchmarks.output import deliver

README = ("digits@tiny", "resnet20@16x16", "resnet8@16x16", "squeezenet@16x16", "resnet18@16x16", "resnet50@16x16",
          "resnet50@32x32", "resnet50@64x64")


def main() -> int:
    parser = parser_of("benchmarks.table", __doc__)
    parser.add_argument("rows", nargs="*", default=README, metavar="NETWORK@CONFIG",
                        help=f"networks: {', '.join(NETWORKS)}; default {' '.join(README)}")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of networks and photographs")
    parser.add_argument("--times", action="store_true", help="a second table: seconds and peak memory of each part")
    parser.add_argument("--build", action="store_true", help="include in it the build of each simulator with an empty cache")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    data, pairs = data_folder(options.data), chosen(options.rows)
    rows = []
    for network, config in pairs:
        print(f"{network.title} on {config}", file=sys.stderr)
        rows.append(_row(network, config, data, options.times or options.build, options.build))
    if deliver(options, {"rows": rows}):
        print("\n".join(_cycles(rows)))
        if options.times or options.build:
            print("\n" + "\n".join(_times(rows)))
    return OUTSIDE if any(row["bytes_differing"] for row in rows) else SUCCESS


def _row(network: Network, config: str, data: Path, with_times: bool, with_build: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        return _measure(network, config, *network.files(data, Path(scratch)), with_times, with_build)


def _measure(network: Network, config: str, model: Path, image: Path, with_times: bool, with_build: bool) -> dict[str, Any]:
    verdict = verify_watched(model, [image], network.recipe, config, "rtl", quiet=True)
    row = {"network": network.title, "config": config, "bytes_compared": verdict.bytes_compared,
           "bytes_differing": verdict.bytes_differing} | verdict.report.figures()
    if with_times:
        row["times"] = measure(model, image, network.recipe, load_config(config), list(BACKENDS), with_build)
    return row


def _cycles(rows: list[dict[str, Any]]) -> list[str]:
    lines = [[row["network"], f"`{row['config']}`", _millions(row["macs"]), f"{row['cycles']:,}",
              f"{100 * row['utilization']:.1f} %", f"{row['bytes_differing']:,} of {row['bytes_compared']:,}"]
             for row in rows]
    return markdown(["network", "preset", "multiply-accumulates", "cycles", "utilization", "bytes that differ"], lines)


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.0f} M" if macs >= 1e8 else f"{macs / 1e6:.1f} M" if macs >= 1e6 else f"{macs / 1e6:.2f} M"


def _times(rows: list[dict[str, Any]]) -> list[str]:
    parts = [part for part in ("build", "compile", *BACKENDS) if part in rows[0]["times"]]
    lines = [[row["network"], f"`{row['config']}`", *(_seconds(row["times"][part]) for part in parts)] for row in rows]
    return markdown(["network", "preset", *parts], lines)


def _seconds(figures: dict[str, Any]) -> str:
    seconds = figures.get("seconds", figures.get("wall_seconds"))
    return f"{seconds:.2f} s, {figures['peak_memory_bytes'] / (1 << 30):.2f} GiB"


def markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table's lines."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    sys.exit(main())
