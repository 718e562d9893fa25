"""Commands over several processes return the same results in the same order as in one process."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits

MODEL = str(digits.MODEL)
IMAGE = str(next(digits.IMAGES.glob("*_3_*")))
OF_TASKS = {"task", "host", "process", "node", "seconds", "attempts"}
OF_TIME = {"wall_seconds", "cycles_per_second", "macs_per_second"}


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def without_time(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in OF_TIME}


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert not said.out and re.search(message, said.err), said.err


@pytest.mark.parametrize("backend", ["rtl", "emulator"])
def test_score_over_a_folder(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["score", MODEL, str(digits.IMAGES), "--preprocess", "digits", "--config", "tiny", "--backend", backend]
    alone = printed([*score, "--features", str(tmp_path / "alone.npz")], capsys)
    spread = printed([*score, "--features", str(tmp_path / "spread.npz"), "--workers", "2"], capsys)
    tasks = spread.pop("tasks")
    assert without_time(spread) == without_time(alone)
    assert (tmp_path / "spread.npz").read_bytes() == (tmp_path / "alone.npz").read_bytes()
    files = sorted(map(str, digits.IMAGES.iterdir()))
    assert [image["file"] for image in spread["images"]] == [task["task"] for task in tasks] == files
    assert all(set(task) == OF_TASKS and task["attempts"] == 1 and task["node"] is None for task in tasks)
    assert os.getpid() not in {task["process"] for task in tasks}


def test_score_says_over_what_it_was_spread(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", MODEL, IMAGE, "--preprocess", "digits", "--config", "tiny", "--backend", "emulator", "--workers",
                 "1"]) == 0
    assert "spread over  1 process of 1 machine\n" in capsys.readouterr().out


def test_score_refuses_what_cannot_be_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["score", MODEL, IMAGE, "--preprocess", "digits", "--config", "tiny"]
    refused([*score, "--workers", "0"], "0 workers: there must be at least 1", capsys)
    refused([*score, "--workers", "2", "--backend", "onnxruntime"], "it uses all processors by itself; leave", capsys)
    refused([*score, "--workers", "2", "--waves", str(tmp_path / "a.fst")], "--waves: waveforms cannot be had", capsys)
    refused([*score, "--workers", "2", "--layer", "conv"], "--layer: waveforms cannot be had", capsys)
    refused(["score", "--address", "127.0.0.1:1", IMAGE, "--workers", "2"], "--workers, --ray: a service runs", capsys)
    refused(["score", MODEL, str(tmp_path), "--preprocess", "digits"], "holds no image among 0 files", capsys)
    (tmp_path / "text.png").write_bytes(b"no image")
    refused(["score", MODEL, IMAGE, str(tmp_path), "--preprocess", "digits", "--config", "tiny", "--backend", "emulator",
             "--workers", "2"], r"text\.png", capsys)


@pytest.mark.parametrize("second", ["tiny", pytest.param("edge", marks=pytest.mark.slow)])
def test_explore_on_the_rtl(second: str, capsys: pytest.CaptureFixture[str]) -> None:
    explore = ["explore", MODEL, "--configs", f"tiny,{second}", "--rtl", "--input", IMAGE, "--preprocess", "digits"]
    alone = printed(explore, capsys)
    spread = printed([*explore, "--workers", "2"], capsys)
    assert [task["task"] for task in spread.pop("tasks")] == ["tiny", second]
    assert spread == alone and all(entry["rtl_cycles"] for entry in alone["configs"])
    refused(["explore", MODEL, "--configs", "tiny", "--workers", "2"], "the cost model needs no workers", capsys)


def test_score_with_a_refused_batch_in_a_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    np.save(tmp_path / "wide.npy", np.zeros((1, 1, 9, 8), np.float32))
    refused(["score", MODEL, str(tmp_path / "wide.npy"), "--config", "tiny", "--backend", "emulator", "--workers", "1"],
            r"shape \[1, 1, 9, 8\] given", capsys)


def test_one_bar_shows_all_images() -> None:
    """With standard error as a terminal."""
    terminal, other = pty.openpty()
    command = [sys.executable, "-m", "arrayloom", "score", MODEL, str(digits.IMAGES), "--preprocess", "digits", "--config",
               "tiny", "--backend", "emulator", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other) as process:
        os.close(other)
        drawn = b""
        with suppress(OSError):     # the end of the pseudo-terminal
            while part := os.read(terminal, 4096):
                drawn += part
        process.communicate()
    os.close(terminal)
    assert process.returncode == 0
    assert re.search(rb"scoring .*\d+ of 10 images", drawn), drawn
    assert b"%" in drawn
