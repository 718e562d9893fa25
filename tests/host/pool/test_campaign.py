"""A campaign's report is the same, byte for byte, for any number of processes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import campaign
import campaign_checks
import pytest

SUPPORT = Path(campaign.__file__).parent
FAILING = ["--first", "5", "--count", "130"]


def reported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    options = campaign.parser("here", "A campaign.", 10).parse_args(arguments)
    code = campaign.run(options, campaign_checks.odd_ones_fail, (3,))
    return code, capsys.readouterr().out


def test_report_is_the_same_with_workers(capsys: pytest.CaptureFixture[str]) -> None:
    code, alone = reported(capsys, *FAILING)
    assert code == campaign.FAILED
    assert (code, alone) == reported(capsys, *FAILING, "--workers", "2")
    listed = [seed for seed in range(5, 135) if seed % 3 == 1]
    assert alone.splitlines()[0] == f"{len(listed)} x one is left"
    assert alone.splitlines()[-1] == f"{130 - len(listed)} of 130 passed"
    _, text = reported(capsys, *FAILING, "--json", "--workers", "2")
    result = json.loads(text)
    assert result["failures"] == [{"kind": "one is left", "seeds": listed, "text": f"seed {listed[0]}"}]
    assert [task["task"] for task in result["tasks"]][:2] == ["seeds 5 to 24", "seeds 25 to 44"]


def test_nothing_fails_and_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(capsys, "--first", "1", "--count", "0") == (0, "0 of 0 passed\n")
    assert reported(capsys, "--workers", "0") == (campaign.REFUSED, "")


@pytest.mark.parametrize(("module", "folders", "options"), [
    ("random_graphs", ["support", "end_to_end"], []),
    pytest.param("random_qdq", ["support"], ["--device-share", "5"], marks=pytest.mark.slow),
    pytest.param("random_faults", ["support", "sim/cocotb/benches"], [], marks=pytest.mark.slow),
])
def test_campaigns_report_the_same_with_workers(module: str, folders: list[str], options: list[str]) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(SUPPORT.parent / folder) for folder in folders)}
    command = [sys.executable, "-m", module, "--first", "40", "--count", "24", *options]
    alone, spread = (subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)
                     for more in ([], ["--workers", "2"]))
    # Where ONNX Runtime's products saturate, some graphs differ, with and without workers.
    assert spread.returncode == alone.returncode < campaign.REFUSED, spread.stderr
    assert spread.stdout == alone.stdout
    assert re.search(r"\d+ of 24 passed\n$", spread.stdout)
    assert re.search("spread over  [12] process(es)? of 1 machine", spread.stderr)
