"""Small networks from other tools: docs/producers.md agrees with the scripts, and their networks run."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT
from verification import random_values

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config

PAGE = ROOT / "docs" / "producers.md"
SNIPPET = re.compile(r"^`(benchmarks/producers/\w+\.py)`\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)

#: Script, environment below ARRAYLOOM_PRODUCERS, and the networks to write; those of other tools begin with float ones.
IN_TORCH = [("torchao_pt2e", "torch"), ("brevitas_qcdq", "brevitas")]
OF_FLOATS = [("onnxruntime_static", "torch"), ("openvino_nncf", "nncf"), ("neural_compressor", "inc"),
             ("amd_quark", "quark"), ("nvidia_modelopt", "modelopt")]


def test_the_page_shows_what_the_scripts_do() -> None:
    snippets = SNIPPET.findall(PAGE.read_text())
    assert len(snippets) == PAGE.read_text().count("```python")
    for script, snippet in snippets:
        assert _joined(snippet) in _joined((ROOT / script).read_text()), script


def _joined(text: str) -> str:
    """Python without white space, and without the commas that a formatter adds after last arguments."""
    return re.sub(r"\s+", "", text).replace(",)", ")")


def _write(environment: str, script: str, *arguments: str) -> None:
    folder = os.environ.get("ARRAYLOOM_PRODUCERS")
    if folder is None:
        pytest.skip("set ARRAYLOOM_PRODUCERS to a folder with an environment for each tool, as docs/producers.md says")
    python = Path(folder) / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"there is no {python}")
    subprocess.run([python, "-P", "-m", f"benchmarks.producers.{script}", *arguments], check=True, cwd=ROOT,
                   env=os.environ | {"PYTHONPATH": str(ROOT)})


def _verify(folder: Path) -> None:
    """All models of a folder, compared with ONNX Runtime at every tensor."""
    config = load_config("tiny")
    models = sorted(path for path in folder.glob("*.onnx") if not path.stem.endswith(("_float", "_qonnx")))
    assert models
    for model in models:
        imported = import_model(model, ImportOptions(HostPolicy.ANY, insert_rounding=True))
        program = compile_graph(imported.graph, config)
        verdict = Verifier(imported, program, open_device("emulator", config)).verify(random_values(imported.graph))
        assert verdict.equal, (model.name, verdict.first_difference)
        assert verdict.bytes_compared > 0, model.name


@pytest.mark.producers
@pytest.mark.parametrize(("script", "environment"), IN_TORCH)
def test_of_pytorch(script: str, environment: str, tmp_path: Path) -> None:
    _write(environment, script, str(tmp_path), "--only", "dscnn", "resnet")
    _verify(tmp_path)


@pytest.mark.producers
@pytest.mark.parametrize(("script", "environment"), OF_FLOATS)
def test_of_onnx_models(script: str, environment: str, tmp_path: Path) -> None:
    _write("torch", "float_networks", str(tmp_path / "float"), "--only", "dscnn", "resnet")
    _write(environment, script, str(tmp_path / "float"), str(tmp_path / "int8"))
    _verify(tmp_path / "int8")


@pytest.mark.producers
def test_of_tensorflow_lite(tmp_path: Path) -> None:
    _write("tensorflow", "tensorflow_lite", str(tmp_path), "--only", "mobilenet", "dscnn")
    _verify(tmp_path)
