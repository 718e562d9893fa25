"""docs/kubernetes.md: its commands exist, and its ports and names match the image."""

import itertools
import re
import shlex
from collections.abc import Iterator

import yaml
from checkout import ROOT

from arrayloom.host.cli.main import build_parser
from arrayloom.host.workspace.image_build import GRPC_PORT, HTTP_PORT
from arrayloom.host.workspace.image_layout import repository
from arrayloom.host.workspace.kubernetes import METRICS_PORT, QUEUE_METRIC

TEXT = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands(word: str) -> Iterator[list[str]]:
    """The commands that begin with a word, each up to its first pipe."""
    for language, block in BLOCKS:
        for line in block.splitlines() if language == "sh" else ():
            if line.startswith(f"{word} "):
                yield shlex.split(line.partition(" | ")[0])


def test_arrayloom_takes_the_commands() -> None:
    taken = [build_parser().parse_args(command[1:]) for command in commands("arrayloom")]
    assert [options.verb for options in taken] == ["create", "save", "manifests", "manifests"]
    assert taken[0].base is not None
    assert taken[0].dependencies


def test_docker_runs_the_image_at_its_ports() -> None:
    runs = [command for command in commands("docker") if command[1] == "run"]
    assert len(runs) == 2
    for command in runs:
        image = command.index(f"{repository('digits')}:1")
        ports = {part.rpartition(":")[2] for option, part in itertools.pairwise(command) if option == "-p"}
        assert ports <= {str(GRPC_PORT), str(HTTP_PORT)}
        build_parser().parse_args(["serve", "bundle", *command[image + 1:]])


def test_no_key_stands_in_a_command() -> None:
    """Here-documents are not arguments; everything else is."""
    for page in ("kubernetes.md", "tutorial.md", "service.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert not re.findall(r"^.*(?:--header|-H) ?[\"']Authorization.*$", text, re.MULTILINE)


def test_the_adapters_rule_is_about_the_autoscalers_metric() -> None:
    (rules,) = [yaml.safe_load(block) for language, block in BLOCKS if language == "yaml"]
    assert rules["rules"][0]["seriesQuery"].startswith(f"{QUEUE_METRIC}{{")
    assert f"({METRICS_PORT})" in TEXT
