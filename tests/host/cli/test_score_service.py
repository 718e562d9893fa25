"""``arrayloom score`` with a service in place of a model."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import serving

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.serving.core.keys import Keys

IMAGES = [str(digits.IMAGES / name) for name in ("digit_3_0705.png", "digit_8_0500.png")]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[serving.Server, Keys]]:
    folder = tmp_path_factory.mktemp("service")
    serving.make_bundles(folder)
    keys = Keys.generate()
    keys.save(folder / "keys.json")
    with serving.Server(folder, folder / "one", "--keys-file", folder / "keys.json") as server:
        yield server, keys


def test_top_five_with_names(service: tuple[serving.Server, Keys], monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    server, keys = service
    monkeypatch.setenv("ARRAYLOOM_KEY", keys.secondary)
    address = ["--address", f"127.0.0.1:{server.port}"]
    assert main(["score", *address, *IMAGES, "--json"]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert [image["top"][0]["label"] for image in images] == ["3", "8"]
    assert all(len(image["top"]) == 5 for image in images)
    assert main(["score", IMAGES[0], *address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == IMAGES[0]
    assert lines[1].split("%")[1].strip() == "3"
    assert len(lines) == 6


def test_as_a_model_on_the_emulator_scores(service: tuple[serving.Server, Keys], monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    server, keys = service
    monkeypatch.setenv("ARRAYLOOM_KEY", keys.primary)
    assert main(["score", "--address", f"127.0.0.1:{server.port}", IMAGES[0], "--json"]) == 0
    served = json.loads(capsys.readouterr().out)["images"]
    assert main(["score", str(digits.MODEL), IMAGES[0], "--preprocess", "digits", "--backend", "emulator", "--labels",
                 str(digits.LABELS), "--json"]) == 0
    assert served == json.loads(capsys.readouterr().out)["images"]


def test_boxes_need_a_detector(service: tuple[serving.Server, Keys], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ARRAYLOOM_KEY", service[1].primary)
    assert main(["score", "--address", f"127.0.0.1:{service[0].port}", IMAGES[0], "--draw", str(tmp_path)]) == 2
    assert "finds no boxes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "message"), [
    (["--address", "127.0.0.1:{port}"], "UNAUTHENTICATED: a key is needed"),
    (["--address", "127.0.0.1:http"], "the port must be a number"),
    (["--address", "x:1", "--service", "y"], "give one of them"),
    (["--address", "127.0.0.1:{port}", "--preprocess", "digits"], "--preprocess: a service has its own"),
    (["--service", "absent"], "is a workspace"),
    (["--address", "127.0.0.1:{port}", "--draw", "absent"], "--draw absent: is not a folder"),
])
def test_what_is_refused(service: tuple[serving.Server, Keys], arguments: list[str], message: str, tmp_path: Path,
                         monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("ARRAYLOOM_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    given = [argument.format(port=service[0].port) for argument in arguments]
    assert main(["score", *given, IMAGES[0]]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
