"""Ratios between the service and ONNX Runtime's server, and their table in the documentation."""

from pathlib import Path
from typing import Any

from arrayloom.host.runtime.errors import InputError
from benchmarks.table import markdown

DOCUMENT = Path(__file__).parents[1] / "docs" / "service.md"
BEGIN, END = "<!-- benchmarks.serve: begin -->", "<!-- benchmarks.serve: end -->"

Row = dict[str, Any]


def ratios(ours: list[Row], theirs: list[Row]) -> list[Row]:
    """The ratio of ours to theirs for each pair of runs with the same protocol and number of clients."""
    return [{"protocol": row["protocol"], "clients": row["clients"],
             "requests_per_second": row["requests_per_second"] / other["requests_per_second"],
             **{name: {p: value / other[name][p] for p, value in row[name].items()} for name in ("latency_ms", "device_ms")}}
            for row, other in zip(ours, theirs, strict=True)]


def table(facts: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    lines = [[f"{row['protocol']}, {row['clients']}", f"{row['requests_per_second']:,.0f}",
              f"{other['requests_per_second']:,.0f}", f"{ratio['requests_per_second']:.2f}",
              f"{row['latency_ms']['p50']:.2f} ms", f"{row['latency_ms']['p99']:.2f} ms",
              f"{other['latency_ms']['p50']:.2f} ms", f"{row['device_ms']['p50']:.2f} ms",
              f"{other['device_ms']['p50']:.2f} ms", f"{row['added_ms']['p50']:.2f} ms"]
             for row, other, ratio in zip(facts["runs"], facts["onnxruntime"], facts["ratios"], strict=True)]
    head = ["protocol, clients", "requests/s", "ONNX Runtime's", "ratio", "latency p50", "p99", "ONNX Runtime's p50",
            "device p50", "ONNX Runtime's", "added p50"]
    return "\n".join(markdown(head, lines))


def write(facts: dict[str, Any], command: str, file: Path = DOCUMENT) -> None:
    """Puts the table, and the command that made it, between the marks in the document; raises ``InputError``."""
    try:
        text = file.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, mark, after = rest.partition(END)
        if not mark:
            raise InputError(f"{file}: has no place for the table, between {BEGIN} and {END}")
        made = f"`{command}` on {facts['cores']} cores of {facts['cpu']}, {facts['date']}:"
        file.write_text(f"{before}{BEGIN}\n{made}\n\n{table(facts)}\n{END}{after}", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
