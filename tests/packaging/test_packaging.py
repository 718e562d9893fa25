"""One name in the environment, every file in the wheel, an editable install that follows the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from checkout import ROOT
from installing import LEFT_BY_RUNS, PACKAGES, copy_checkout, install, make_environment, run

HEAVY = ("numpy", "onnx", "onnxruntime", "amaranth", "grpc", "asyncio", "typing")
EXTRAS = ("grpc", "aiohttp", "prometheus_client", "torch", "sklearn", "ray")
WITHOUT_EXTRAS = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import arrayloom
"""


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_adds_one_name(wheel: Path) -> None:
    top = {name.split("/")[0] for name in names(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {"arrayloom"}
    assert len(top) == 2


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    wanted = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*")
              if path.is_file() and not any(path.match(f"**/{left}/*") or path.match(left) for left in LEFT_BY_RUNS)}
    wanted |= {"__init__.py", "__main__.py", "py.typed"}
    found = {name.removeprefix("arrayloom/") for name in names(wheel) if name.startswith("arrayloom/")}
    assert found == wanted
    assert {"host/models/digits/digits_int8.onnx", "sim/rtl/harness/harness.cpp"} <= found


def test_an_editable_install_sees_files_that_are_added_later(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    python = make_environment(tmp_path / "venv")
    install(python, "-e", checkout)
    (checkout / "isa" / "added_later.py").write_text("ANSWER = 42\n")
    (checkout / "host" / "added_later").mkdir()
    (checkout / "host" / "added_later" / "__init__.py").write_text("from arrayloom.isa.added_later import ANSWER\n")
    for folder in (tmp_path, checkout):
        asked = "import arrayloom.host.added_later as added; print(added.ANSWER, added.__file__)"
        found = run([python, "-c", asked], folder)
        assert found.split() == ["42", str(checkout / "host" / "added_later" / "__init__.py")]
    for name in PACKAGES:
        asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
        run([python, "-P", "-c", asked], tmp_path)


def test_a_checkout_is_whole_where_another_or_a_wheel_is_installed(installed: Path, tmp_path: Path) -> None:
    """The current folder comes first for ``python -c`` and ``python -m``; all parts must come from the same checkout."""
    first, second = copy_checkout(tmp_path / "first"), copy_checkout(tmp_path / "second")
    editable = make_environment(tmp_path / "venv")
    install(editable, "-e", first)
    asked = "import arrayloom, arrayloom.isa, arrayloom.host; print(arrayloom.__file__, arrayloom.isa.__file__, " \
            "arrayloom.host.__file__)"
    for python in (installed, editable):
        wanted = [str(second / name / "__init__.py") for name in ("arrayloom", "isa", "host")]
        assert run([python, "-c", asked], second).split() == wanted
        assert run([python, "-m", "arrayloom", "--help"], second).startswith("usage: arrayloom")
    assert run([editable, "-c", asked], tmp_path).split()[0] == str(first / "arrayloom" / "__init__.py")
    assert not run([installed, "-c", asked], tmp_path).startswith(str(tmp_path))


def test_a_wheel_and_its_checkout_are_the_same_to_a_cluster(installed: Path, tmp_path: Path) -> None:
    """Machines that share work need the same code, however installed; one changed line makes it different."""
    asked = "from arrayloom.host.pool.identity import identity; print(identity())"
    of_wheel = run([installed, "-c", asked], tmp_path)
    checkout = copy_checkout(tmp_path / "checkout")
    editable = make_environment(tmp_path / "venv")
    install(editable, "-e", checkout)
    assert run([editable, "-c", asked], tmp_path) == of_wheel
    with (checkout / "isa" / "bus.py").open("a") as file:
        file.write("# another line\n")
    changed = run([editable, "-c", asked], tmp_path)
    assert changed != of_wheel and changed.split()[:2] == of_wheel.split()[:2]


def test_importing_is_lazy() -> None:
    asked = f"import sys; before = set(sys.modules); import arrayloom; print([name for name in {HEAVY!r} if name in " \
            "set(sys.modules) - before])"
    assert run([sys.executable, "-S", "-P", "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}]; {asked}"], ROOT) == "[]\n"


@pytest.mark.parametrize("name", ["Session", "compile_model", "verify", "quantize", "preprocess_array", "PredictionClient",
                                  "Workspace", "Model", "AccelOnnxConverter", "AccelContainerImage", "Image", "Webservice",
                                  "QuantizedResnet50", "QuantizedResnet152", "QuantizedDensenet121", "QuantizedVgg16",
                                  "QuantizedSsdVgg"])
def test_names_come_without_extras(name: str) -> None:
    run([sys.executable, "-P", "-c", f"{WITHOUT_EXTRAS}print(arrayloom.{name})"], ROOT)


def test_all_names_and_help_come_without_extras() -> None:
    asked = "from arrayloom import *; import pydoc; print(set(arrayloom.__all__) <= set(globals())); " \
            "print('class PredictionClient' in pydoc.render_doc(arrayloom, renderer=pydoc.plaintext))"
    assert run([sys.executable, "-P", "-c", f"{WITHOUT_EXTRAS}{asked}"], ROOT).split() == ["True", "True"]


def test_the_client_names_the_extra_that_it_needs() -> None:
    asked = f"{WITHOUT_EXTRAS}arrayloom.PredictionClient('localhost')"
    done = subprocess.run([sys.executable, "-P", "-c", asked], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 1
    assert "PredictionClient needs the package grpc; install it with: pip install '.[serve]'" in done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    import arrayloom

    with pytest.raises(AttributeError, match="module 'arrayloom' has no attribute 'Sesion'"):
        arrayloom.Sesion  # noqa: B018
    assert set(arrayloom.__all__) <= set(dir(arrayloom))
