"""The profile as table, trace and page, on a synthetic run of a real program."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from timelines import made_up

from arrayloom.compiler import compile_model
from arrayloom.host.analysis.profile.page import page, write_page
from arrayloom.host.analysis.profile.page_markup import COLOURS, LEGEND, colour, element, text
from arrayloom.host.analysis.profile.profile_text import describe, losses, print_profile, short, verdict
from arrayloom.host.analysis.profile.run_profile import Profile
from arrayloom.host.analysis.profile.trace_events import write_trace
from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.registers import Cause

VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def profile() -> Profile:
    program = compile_model(digits.MODEL, "tiny")
    timeline, report = made_up(program)
    return Profile.of(program, report, timeline)


@pytest.fixture(scope="module")
def html(profile: Profile) -> str:
    return page(profile)


def _trace(profile: Profile, path: Path, limit: int = 100_000) -> dict:
    shortest = write_trace(profile, path, limit)
    trace = json.loads(path.read_text())
    assert (shortest > 1) == ("merged" in trace["otherData"]["note"])
    return trace


def test_the_trace_has_a_track_for_each_unit(profile: Profile, tmp_path: Path) -> None:
    events = _trace(profile, tmp_path / "trace.json")["traceEvents"]
    threads = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
    assert set(threads) == {"layers of the array", *profile.units}
    for unit, thread in threads.items():
        slices = [event for event in events if event["ph"] == "X" and event["tid"] == thread]
        cover = [event for event in slices if event["cat"] in ("cause", "layer")]
        assert sum(event["dur"] for event in cover) == profile.cycles, unit
        assert all(isinstance(event["ts"], int) and event["dur"] > 0 for event in slices)


def test_the_trace_s_slices_nest(profile: Profile, tmp_path: Path) -> None:
    """As the format requires: a slice that begins inside another slice of its thread also ends inside it."""
    events = [event for event in _trace(profile, tmp_path / "trace.json", 300)["traceEvents"] if event["ph"] == "X"]
    nested = 0
    for thread in {event["tid"] for event in events}:
        stack: list[int] = []
        for event in sorted((one for one in events if one["tid"] == thread), key=lambda one: (one["ts"], -one["dur"])):
            while stack and stack[-1] <= event["ts"]:
                stack.pop()
            assert not stack or event["ts"] + event["dur"] <= stack[-1]
            nested += bool(stack)
            stack.append(event["ts"] + event["dur"])
    assert nested


def test_the_trace_names_layer_and_operands(profile: Profile, tmp_path: Path) -> None:
    events = _trace(profile, tmp_path / "trace.json")["traceEvents"]
    instructions = {event["args"]["index"]: event for event in events if event.get("cat") == "instruction"
                    and event["name"] not in ("end",) and event["tid"] > 1}
    assert len(instructions) == len(profile.instructions) - 1
    for index, event in instructions.items():
        assert f"{event['name']} {event['args']['operands']}".strip() == str(profile.instructions[index])
        assert event["args"]["layer"] in [layer.name for layer in profile.layers]


def test_a_bounded_trace_says_that_it_merged(profile: Profile, tmp_path: Path) -> None:
    whole = _trace(profile, tmp_path / "whole.json")["traceEvents"]
    bounded = _trace(profile, tmp_path / "bounded.json", 600)["traceEvents"]
    causes = [event for event in bounded if event.get("cat") == "cause"]
    assert len(causes) <= 600 < sum(event.get("cat") == "cause" for event in whole)
    merged = [event for event in causes if event["args"]]
    assert merged
    assert all(sum(event["args"].values()) == event["dur"] for event in merged)
    assert all(event["args"][event["name"]] == max(event["args"].values()) for event in merged)


class _Balance(HTMLParser):
    """Checks that every element is closed, and collects attributes and text that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [(tag, name) for name, _ in attributes if name in ("src", "href", "xlink:href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()


def test_the_page_is_well_formed_and_needs_nothing_else(html: str) -> None:
    balance = _Balance()
    balance.feed(html)
    assert balance.open == []
    assert balance.loads == []
    addresses = set(re.findall(r"https?://[^\"' <)]+", html))
    assert addresses == {"http://www.w3.org/2000/svg"}      # the name of a namespace, which nothing fetches
    assert "@import" not in html
    assert "url(" not in html
    assert "fetch(" not in html


def _plots(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(plot) for plot in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def test_the_plots_show_the_profile_s_numbers(html: str, profile: Profile) -> None:
    time, bars, roof = _plots(html)
    space = "{http://www.w3.org/2000/svg}"
    assert float(time.get("viewBox").split()[2]) == profile.cycles
    layers = [shape for shape in time.iter(f"{space}rect") if shape.find(f"{space}title") is not None]
    assert sum(int(shape.get("width")) for shape in layers) == profile.cycles
    shown = [layer for layer in profile.layers if layer.array_cycles]
    longest = max(layer.array_cycles for layer in shown)
    for group, layer in zip(bars.iter(f"{space}g"), shown, strict=True):
        widths = sum(float(rect.get("width")) for rect in group.iter(f"{space}rect"))
        assert widths == pytest.approx(640 * layer.array_cycles / longest, rel=1e-3)
        assert group.find(f"{space}title").text.startswith(layer.name)
    titles = [circle.find(f"{space}title").text for circle in roof.iter(f"{space}circle")]
    assert {title.splitlines()[0] for title in titles} == {layer.name for layer in profile.layers if layer.intensity}
    for circle in roof.iter(f"{space}circle"):
        assert 64 <= float(circle.get("cx")) <= 876
        assert 20 <= float(circle.get("cy")) <= 372


def test_the_tooltips_data_sum_to_the_counters(html: str, profile: Profile) -> None:
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))
    columns = len(data["borders"]) - 1
    for unit, runs in data["units"].items():
        total = dict.fromkeys(data["causes"], 0)
        for length, *pairs in runs:
            for cause, cycles in zip(pairs[::2], pairs[1::2], strict=True):
                total[data["causes"][cause]] += length * cycles
        assert total == profile.units[unit]
        assert sum(run[0] for run in runs) == columns
    assert data["layers"][0][1] == 0
    assert data["layers"][-1][2] == profile.cycles == data["borders"][-1]


def test_names_from_the_model_are_escaped() -> None:
    assert element("td", text("<a & b>"), title='"x"') == '<td title="&quot;x&quot;">&lt;a &amp; b&gt;</td>'


def test_every_cause_has_a_colour_and_words() -> None:
    for cause in Cause:
        name = cause.name.lower()
        assert name in COLOURS
        assert LEGEND[name]
    assert colour("token of POST") == COLOURS["token"]
    assert describe("token of POST") == "waiting for a token of POST"


def test_files_that_cannot_be_written_are_named(profile: Profile, tmp_path: Path) -> None:
    for write in (write_page, write_trace):
        with pytest.raises(InputError, match="cannot be written"):
            write(profile, tmp_path / "absent" / "file")


def test_the_verdict_names_the_largest_causes_and_their_layers(profile: Profile) -> None:
    first, second, *_ = losses(profile)
    assert first.cycles >= second.cycles
    assert first.cause == max(profile.lost, key=lambda cause: profile.lost[cause])
    name, cycles = first.layers[0]
    assert cycles == max(layer.lost.get(first.cause, 0) for layer in profile.layers)
    lines = verdict(profile)
    assert f"{profile.cycles:,}" in lines[0]
    assert name in lines[1]


def test_the_table_shows_every_layer_and_unit(profile: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    print_profile(profile)
    shown = capsys.readouterr().out
    for layer in profile.layers:
        if layer.array_cycles:
            line = next(line for line in shown.splitlines() if line.strip().startswith(short(layer.name)))
            assert f"{layer.array_cycles:,}" in line
    for unit, causes in profile.units.items():
        assert unit in shown
        assert all(f"{cycles:,}" in shown for cycles in causes.values() if cycles)
    assert short("a" * 40, 10) == "…" + "a" * 9
