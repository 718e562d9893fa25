"""docs/tutorial.md, executed as written: its commands by bash, its Python by this interpreter."""

import re
import shutil
from pathlib import Path

import pytest
from pages import compare, nothing_left, run_commands, run_python, services_ended, steps, text_of

DIGITS, NETWORKS = text_of("tutorial.md").split("## Real networks\n")


def test_the_tutorials_commands(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed: apt install curl")
    blocks = steps(DIGITS, "sh")
    with services_ended(tmp_path / "ws"):
        outputs = run_commands(blocks, tmp_path)
        compare(blocks, outputs)
        answers = [output for output in outputs if '"datatype": "BYTES"' in output]
        assert len(answers) == 1
        assert re.search(r'"data": \[\s*"[^"]*:7:7"', answers[0]), answers[0]
        assert nothing_left(tmp_path / "ws")


def test_the_tutorials_python(tmp_path: Path) -> None:
    blocks = steps(DIGITS, "python")
    with services_ended(tmp_path / "ws-python"):
        compare(blocks, run_python(blocks, tmp_path))
        assert nothing_left(tmp_path / "ws-python")


@pytest.mark.slow
def test_the_tutorials_real_networks(tmp_path: Path, shared_data: Path) -> None:
    """With random weights, as the test machine may reach no model zoo."""
    shutil.copy(shared_data / "images" / "owl.jpg", tmp_path / "owl.jpg")
    blocks = steps(NETWORKS, "sh")
    with services_ended(tmp_path / "ws-networks"):
        outputs = run_commands(blocks, tmp_path)
        scored = [output for output in outputs if output.startswith("owl.jpg")]
        assert len(scored) == 2
        assert len(re.findall(r"^ +[\d.]+%  \S", scored[0], re.MULTILINE)) == 5
        assert len(re.findall(r"^ +[\d.]+%  .*  at [\d., ]+$", scored[1], re.MULTILINE)) == 3
        assert (tmp_path / "boxes" / "owl.boxes.png").exists()
        assert nothing_left(tmp_path / "ws-networks")
