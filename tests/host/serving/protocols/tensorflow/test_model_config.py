"""Versions and labels from TensorFlow Serving's model configuration, over gRPC and REST."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import asking
import pytest
import serving
from google.protobuf import text_format

from arrayloom.host.serving import Bundle
from arrayloom.host.serving.errors import ServeError
from arrayloom.host.serving.protocols.tensorflow.messages import GET_MODEL_STATUS, PREDICT, RELOAD_CONFIG, tfs
from arrayloom.host.serving.protocols.tensorflow.model_config import read
from arrayloom.host.serving.protocols.tensorflow.tensors import from_content, to_array

ONE = 'model_config_list { config { name: "digits" base_path: "digits" %s } }'


@pytest.fixture(scope="module")
def base(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``digits/1`` and ``digits/2``, laid out like TensorFlow Serving's versions."""
    folder = tmp_path_factory.mktemp("base")
    for name, version in (("one", "1"), ("two", "2")):
        shutil.copytree(bundle_folder / name, folder / "digits" / version)
    (folder / "digits" / "notes").mkdir()
    return folder


@pytest.mark.parametrize(("policy", "versions"), [
    ("", ["2"]), ("model_version_policy { latest { num_versions: 2 } }", ["2", "1"]),
    ("model_version_policy { all {} }", ["2", "1"]),
    ("model_version_policy { specific { versions: 1 } } model_platform: 'tensorflow'", ["1"])])
def test_the_policy_chooses_versions(base: Path, policy: str, versions: list[str]) -> None:
    (base / "models.config").write_text(ONE % policy)
    assert [folder.name for folder in read(base / "models.config").folders] == versions


@pytest.mark.parametrize(("text", "reason"), [
    ("model_config_list { config { nam: 'x' } }", "is no ModelServerConfig"),
    ("", "names no model"),
    (ONE % "model_version_policy { specific { versions: 7 } }", "names version 7, which base_path does not hold"),
    (ONE % "model_version_policy { specific {} }", "names no version"),
    (ONE % "model_platform: 'other'", "model_platform 'other'"),
    (ONE.replace('"digits" %s', '"absent"'), "cannot be read"),
    (ONE.replace('"digits" %s', '"digits/1"'), "holds no bundle in a folder named after its version"),
    (ONE.replace('name: "digits"', 'name: "others"') % "", "holds digits version 2; make the bundle with"),
    (ONE.replace('name: "digits"', 'name: "../x"') % "", "name '../x'")])
def test_configurations_that_are_refused(base: Path, text: str, reason: str) -> None:
    (base / "models.config").write_text(text)
    with pytest.raises(ServeError, match=reason):
        read(base / "models.config")


@pytest.fixture(scope="module")
def labelled(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    """Both versions; version 1 is labelled ``stable``."""
    config = base / "labelled.config"
    config.write_text(ONE % 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }')
    with serving.Server(tmp_path_factory.mktemp("labelled"), "--model-config-file", config) as server:
        yield server


def _ask(server: serving.Server, label: str) -> tuple[int, bytes]:
    """The version that answered, and its answer."""
    request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="digits", version_label=label))
    request.inputs["image"].CopyFrom(from_content(serving.images(1)))
    response = asking.call(server, PREDICT, request)
    return response.model_spec.version.value, to_array(response.outputs["logits"]).tobytes()


def test_a_label_stands_for_its_version(labelled: serving.Server, bundles: dict[str, Bundle]) -> None:
    inputs = serving.images(1)
    expected = serving.expected(bundles["one"], inputs).tobytes()
    assert _ask(labelled, "stable") == (1, expected)
    status = asking.call(labelled, GET_MODEL_STATUS,
                         tfs.GetModelStatusRequest(model_spec=tfs.ModelSpec(name="digits", version_label="stable")))
    assert [each.version for each in status.model_version_status] == [1]
    path = "/v1/models/digits/labels/stable"
    assert json.loads(asking.http(labelled, path))["model_version_status"][0]["version"] == "1"
    assert json.loads(asking.http(labelled, f"{path}/metadata"))["model_spec"]["version"] == "1"
    assert "predictions" in json.loads(asking.http(labelled, f"{path}:predict",
                                                   json.dumps({"instances": inputs.tolist()}).encode()))
    for ask in (lambda: _ask(labelled, "canary"), lambda: asking.http(labelled, "/v1/models/digits/labels/canary")):
        with pytest.raises(asking.RefusedError, match='no version label "canary"; it has stable') as refused:
            ask()
        assert refused.value.code == 404


def _reload(server: serving.Server, text: str) -> None:
    asking.call(server, RELOAD_CONFIG, tfs.ReloadConfigRequest(config=text_format.Parse(text, tfs.ModelServerConfig())))


def test_labels_move_while_the_service_runs(labelled: serving.Server) -> None:
    moved = 'model_config_list { config { name: "digits" version_labels { key: "stable" value: %d } } }'
    _reload(labelled, moved % 2)
    assert _ask(labelled, "stable")[0] == 2
    for text, reason in ((moved % 9, "version 9, which is not served"), ("", "names no model"),
                         ('model_config_list { config { name: "x" } }', "model \"x\" is unknown"),
                         (ONE.replace('"digits" %s', '"/etc"'), "only labels can be changed")):
        with pytest.raises(asking.RefusedError, match=reason) as refused:
            _reload(labelled, text)
        assert refused.value.code == 400
    assert _ask(labelled, "stable")[0] == 2
    _reload(labelled, moved % 1)
