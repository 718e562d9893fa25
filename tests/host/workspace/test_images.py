"""Images: the specification's rules, bases, archives, reproducibility, and serving without a container engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import pytest
from oci import check_layout, check_tar, write_base

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.serving import Bundle
from arrayloom.host.workspace import DamagedError, ExistsError, InUseError, Model, Workspace, WorkspaceError, job
from arrayloom.host.workspace.converter import AccelOnnxConverter
from arrayloom.host.workspace.image import AccelContainerImage, Image
from arrayloom.host.workspace.image_layout import Layout, repository
from arrayloom.host.workspace.image_run import LOCAL, entry_point, unpack
from arrayloom.host.workspace.kubernetes import QUEUE_METRIC
from arrayloom.host.workspace.server_process import ServerProcess

IMAGE = digits.IMAGES / "digit_7_1496.png"


@pytest.fixture(scope="module")
def image(shop: Workspace, program: Model) -> Image:
    made = Image.create(shop, "digits", [program], AccelContainerImage.image_configuration(
        tags={"stage": "test"}, properties={"team": "arrayloom"}, description="handwritten digits"))
    made.wait_for_creation()
    return made


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_base(tmp_path / "base")
    return tmp_path / "base"


def make(shop: Workspace, program: Model, **options: object) -> Image:
    return Image.create(shop, "other", program, AccelContainerImage.image_configuration(**options))  # type: ignore[arg-type]


def test_an_image_keeps_the_specifications_rules(image: Image) -> None:
    assert (image.creation_state, image.tags, image.properties) == ("Succeeded", {"stage": "test"}, {"team": "arrayloom"})
    assert image.image_location is not None
    manifest, config = check_layout(Path(image.image_location))
    assert image.digest == f"sha256:{image.sha256}"
    assert manifest["annotations"] == config["config"]["Labels"] == {
        "org.opencontainers.image.title": "digits", "org.opencontainers.image.description": "handwritten digits",
        "team": "arrayloom"}
    (layer,) = manifest["layers"]
    names = check_tar(image.path / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:"))
    assert {"opt/arrayloom/bundle/program.loom", "opt/arrayloom/bundle/labels.txt",
            "opt/arrayloom/lib/arrayloom/__main__.py", "opt/arrayloom/lib/arrayloom/host/serving/server.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", "keys.json"))]
    assert f"layer {layer['digest']}" in Path(image.image_build_log_uri).read_text()


def test_it_holds_the_bundle_with_its_lineage(image: Image, program: Model, tmp_path: Path) -> None:
    unpack(Layout(image.path), tmp_path)
    bundle = Bundle.load(tmp_path / "opt/arrayloom/bundle")
    assert (bundle.name, bundle.recipe, bundle.labels) == ("digits", "digits", tuple("0123456789"))
    assert bundle.program.to_bytes() == program.file.read_bytes()
    assert bundle.source["model"] == "digits.loom:1"
    assert bundle.source["parents"][0]["reference"] == "model digits:1"


def test_the_same_input_gives_the_same_digest(image: Image, tmp_path: Path) -> None:
    elsewhere = Workspace.create(tmp_path / "ws")
    convert = AccelOnnxConverter.convert(elsewhere, Model.register(elsewhere, digits.MODEL, "digits"), config="tiny",
                                         preprocess="digits", labels=digits.LABELS)
    assert convert.wait_for_completion()
    digests = set()
    for _ in range(2):
        again = Image.create(elsewhere, "digits", convert.result, AccelContainerImage.image_configuration(
            tags={"other": "tag"}, properties={"team": "arrayloom"}, description="handwritten digits"))
        again.wait_for_creation()
        digests.add(again.digest)
    assert digests == {image.digest}
    assert [found.id for found in Image.list(elsewhere)] == ["digits:2", "digits:1"]


def test_an_image_without_a_base_says_that_no_engine_runs_it(shop: Workspace, image: Image, program: Model, base: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    (notice,) = image.notices
    assert "has no base: it contains no Python" in notice
    assert main(["image", "show", "digits", "--workspace", str(shop.path)]) == 0
    assert "has no base" in " ".join(capsys.readouterr().out.split())
    based = make(shop, program, base=base)
    based.wait_for_creation()
    assert based.notices == []


def test_a_base_lies_below(shop: Workspace, program: Model, base: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "base.tar", "w") as archive:
        for path in sorted(base.iterdir()):
            archive.add(path, path.name)
    images = [make(shop, program, base=place) for place in (base, tmp_path / "base.tar")]
    for made in images:
        made.wait_for_creation()
    assert images[0].digest == images[1].digest
    manifest, config = check_layout(images[0].path)
    assert [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]] == ["tar+gzip", "tar"]
    inner = config["config"]
    assert "Cmd" not in inner
    assert inner["Labels"]["base"] == "yes"
    assert inner["Env"][:2] == ["PATH=/usr/bin", "PYTHONPATH=/opt/arrayloom/lib:/opt/arrayloom/site-packages"]


def _damage(base: Path) -> Path:
    layer = max((base / "blobs" / "sha256").iterdir(), key=lambda path: path.read_bytes()[:2] == b"\x1f\x8b")
    layer.write_bytes(layer.read_bytes()[:-1] + b"!")
    return base


def _rewritten(base: Path, **options: object) -> Path:
    shutil.rmtree(base)
    write_base(base, **options)  # type: ignore[arg-type]
    return base


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda base: base / "absent", "no such folder or archive"),
    (lambda base: base / "oci-layout", "cannot be unpacked"),
    (_damage, "does not match its name and size"),
    (lambda base: _rewritten(base, architecture="arm64"), "is for linux/arm64"),
    (lambda base: _rewritten(base, times=2), "2 images in it fit linux/amd64"),
    (lambda base: (base / "index.json").unlink() or base, "cannot be read as JSON"),
    (lambda base: (base / "index.json").write_text('{"manifests": [{}]}') and base, "not an OCI descriptor"),
])
def test_bases_that_do_not_do(shop: Workspace, program: Model, base: Path, spoil: object, message: str) -> None:
    failed = make(shop, program, base=spoil(base))  # type: ignore[operator]
    with pytest.raises(WorkspaceError, match=message):
        failed.wait_for_creation()
    assert failed.creation_state == "Failed"
    assert failed.image_location is None
    with pytest.raises(WorkspaceError, match="is not built, it is Failed"):
        failed.save(base / "out.tar")
    failed.delete()


def test_programs_alone_become_images(shop: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"is onnx, not a program; convert it first"):
        Image.create(shop, "digits", Model(shop, "digits"))
    with pytest.raises(WorkspaceError, match="2 models given; an image holds one"):
        Image.create(shop, "digits", [Model(shop, "digits.loom")] * 2)
    with pytest.raises(WorkspaceError, match="must be 1 to 255"):
        Image.create(shop, "-", Model(shop, "digits.loom"))


def test_saved_archives_have_both_forms(image: Image, tmp_path: Path) -> None:
    image.save(tmp_path / "image.tar")
    first = (tmp_path / "image.tar").read_bytes()
    image.save(tmp_path / "image.tar")
    assert (tmp_path / "image.tar").read_bytes() == first
    check_tar(tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    (docker,) = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert docker["RepoTags"] == ["digits:1"]
    assert all((tmp_path / "out" / name).is_file() for name in (docker["Config"], *docker["Layers"]))
    (tmp_path / "out" / "manifest.json").unlink()
    check_layout(tmp_path / "out")


@pytest.mark.parametrize(("name", "tag"), [("digits", "digits"), ("ResNet_50..v1", "resnet-50-v1"), ("a-", "a")])
def test_names_as_docker_takes_them(name: str, tag: str) -> None:
    assert repository(name) == tag


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("name", ["Digits", "DIGITS", "digits-"])
def test_names_that_engines_cannot_tell_apart(shop: Workspace, program: Model, name: str) -> None:
    with pytest.raises(ExistsError, match=f"image name '{name}': container engines would call it 'digits'"):
        Image.create(shop, name, program)


def test_others_tools_take_it(image: Image, tmp_path: Path) -> None:
    found = [tool for tool in ("skopeo", "umoci") if shutil.which(tool)]
    if not found:
        pytest.skip("neither skopeo nor umoci is installed: apt install skopeo umoci")
    image.save(tmp_path / "image.tar")
    if "skopeo" in found:
        for source in (f"oci:{image.path}:1", f"oci-archive:{tmp_path}/image.tar", f"docker-archive:{tmp_path}/image.tar"):
            done = subprocess.run(["skopeo", "inspect", "--config", source], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["config"]["User"] == "65532:65532"
    if "umoci" in found:
        subprocess.run(["umoci", "unpack", "--rootless", "--image", f"{image.path}:1", tmp_path / "bundle"], check=True,
                       capture_output=True)
        assert (tmp_path / "bundle/rootfs/opt/arrayloom/lib/arrayloom/host/serving/server.py").is_file()


def test_damage_is_noticed(shop: Workspace, program: Model) -> None:
    made = make(shop, program)
    made.wait_for_creation()
    blob = max((made.path / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(DamagedError, match="does not match its name and size"), made.run():
        raise AssertionError("a damaged image ran")


def test_it_runs_without_a_container_engine(image: Image) -> None:
    from arrayloom.host.serving.client import PredictionClient

    with image.run("--queue", "3") as server:
        with PredictionClient(server.address.reachable, server.address.port) as client:
            (scores,) = client.score_file(IMAGE).values()
            assert scores.argmax() == 7
        with urllib.request.urlopen(f"http://{server.address.reachable}:{server.address.http_port}/metrics") as answer:
            assert f"\n{QUEUE_METRIC} 0.0\n".encode() in answer.read()
        pid, folder = server.pid, server.log.parent
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_cannot_start_says_why(image: Image) -> None:
    with pytest.raises(WorkspaceError, match=r"is Failed, not Healthy.*\n.*--queue 0"), image.run("--queue", "0"):
        raise AssertionError("it ran")


@pytest.mark.slow
def test_dependencies_make_it_complete(shop: Workspace, program: Model, tmp_path: Path) -> None:
    """On a Python with no packages installed."""
    from arrayloom.host.serving.client import PredictionClient

    made = make(shop, program, dependencies=True)
    made.wait_for_creation()
    check_layout(made.path)
    unpack(Layout(made.path), tmp_path / "root")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    (_, *words), environment, home = entry_point(tmp_path / "root")
    server = ServerProcess(tmp_path)
    server.start([str(tmp_path / "bare" / "bin" / "python"), *words, *LOCAL], environment, home)
    try:
        server.require_healthy("the server", 60)
        assert server.address is not None
        with PredictionClient(server.address.reachable, server.address.port) as client:
            (scores,) = client.score_file(IMAGE).values()
        assert scores.argmax() == 7
    finally:
        server.stop(10)


def test_builders_killed_at_random_moments(shop: Workspace, program: Model) -> None:
    for attempt in range(2):
        made = make(shop, program)
        time.sleep(0.5 + 0.3 * attempt)
        assert made.operation is not None
        pid = made.operation.refresh().entry.details.get("pid")
        if pid is not None and made.operation.status in job.LIVE:
            os.killpg(pid, signal.SIGKILL)
        done = made.operation.wait_for_completion(timeout=60)
        assert made.creation_state == ("Succeeded" if done else "Failed")
        if done:
            made.verify()
        Workspace(shop.path)
        assert (shop.path / "images" / "other" / str(made.version)).exists() == done
        made.delete()


def test_images_keep_their_models(shop: Workspace, image: Image, program: Model) -> None:
    assert program.dependents()[-1] == image.entry.reference
    with pytest.raises(InUseError):
        program.delete()
    with pytest.raises(InUseError):
        Model(shop, "digits").delete()


def test_an_image_outlives_the_record_of_its_building(shop: Workspace, program: Model) -> None:
    made = make(shop, program)
    made.wait_for_creation()
    assert made.operation is not None
    made.operation.delete()
    found = Image(shop, "other", made.version)
    assert (found.creation_state, found.image_build_log_uri, found.error) == ("Succeeded", None, None)
    found.verify()
    found.delete()
