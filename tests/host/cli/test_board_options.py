"""Refusals of ``--backend board`` and ``--board-port`` in wrong combinations."""

import pytest

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits

MODEL, IMAGE = str(digits.MODEL), str(digits.IMAGES / "digit_3_0705.png")
VERIFY = ["verify", MODEL, "--input", IMAGE, "--preprocess", "digits", "--config", "tiny"]
SCORE = ["score", MODEL, IMAGE, "--preprocess", "digits", "--config", "tiny"]
PORT = ["--board-port", "socket://127.0.0.1:1"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["demo", *PORT], "board port socket://127.0.0.1:1: the backend rtl has none"),
    ([*VERIFY, *PORT], "--board-port socket://127.0.0.1:1: the backend rtl has none; take --backend board"),
    ([*VERIFY, *PORT, "--workers", "2"], "--board-port socket://127.0.0.1:1: a board's run is not spread"),
    ([*VERIFY, "--backend", "board", "--workers", "2"], "the board is not spread"),
    ([*VERIFY, "--backend", "board", "--waves", "a.vcd"], "--waves with --backend board: only the rtl backend has"),
    ([*SCORE, *PORT, "--backend", "onnxruntime"], "--board-port socket://127.0.0.1:1: the backend onnxruntime has none"),
    ([*SCORE, *PORT, "--backend", "board", "--workers", "2"], "one process has the board"),
    (["demo", "--backend", "board"], "the backend board needs a port (--board-port"),
])
def test_options_that_do_not_fit_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
