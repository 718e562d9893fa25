"""docs/migration.md, executed as written; every Arrayloom name on the page exists."""

import inspect
import re
from pathlib import Path

import pytest
from pages import compare, nothing_left, run_python, services_ended, steps, text_of

import arrayloom
from arrayloom.host.models.networks import QuantizedSsdVgg
from arrayloom.host.serving.client import PredictionClient, client_from_service
from arrayloom.host.workspace.webservice import KubernetesTarget, KubernetesWebservice, LocalWebservice

PAGE = text_of("migration.md")
OURS = (arrayloom.Workspace, arrayloom.Model, arrayloom.AccelOnnxConverter, arrayloom.AccelContainerImage, arrayloom.Image,
        arrayloom.Webservice, arrayloom.QuantizedResnet50, QuantizedSsdVgg, PredictionClient, KubernetesTarget,
        KubernetesWebservice, LocalWebservice)


def test_the_pages_python(tmp_path: Path) -> None:
    blocks = steps(PAGE, "python")
    with services_ended(tmp_path / "ws-migration"):
        outputs = run_python(blocks, tmp_path)
        compare(blocks, outputs)
        assert nothing_left(tmp_path / "ws-migration")
    (best,) = (output.splitlines() for output in outputs if " confidence: " in output)
    assert len(best) == 5
    assert best[0].startswith("7 confidence: ")


@pytest.mark.parametrize("name", ["preprocess_array", "featurize", "classify", "save_weights", "save", "version",
                                  "get_default_classifier", "input_tensor_list", "output_tensor_list", "get_input_dims",
                                  "get_output_dims",
                                  "convert_tf_model", "convert", "wait_for_creation", "deploy_configuration",
                                  "deploy_from_image", "wait_for_deployment", "scoring_uri", "get_keys", "get_logs",
                                  "regen_key", "score_file", "score_numpy_arrays", "score_tensors", "get_details"])
def test_a_name_of_the_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE)
    assert hasattr(arrayloom, name) or any(hasattr(each, name) for each in OURS)


def test_the_originals_keywords() -> None:
    """Its arguments by name, as in its samples."""
    for call, names in ((arrayloom.Model.register, "workspace model_path model_name tags description"),
                        (arrayloom.Image.create, "workspace name models image_config"),
                        (arrayloom.Webservice.deploy_from_image,
                         "workspace name image deployment_config deployment_target tags"),
                        (PredictionClient, "address port use_ssl access_token service_name"),
                        (PredictionClient.score_file, "path input_name outputs"),
                        (PredictionClient.score_numpy_arrays, "input_map outputs"),
                        (arrayloom.preprocess_array,
                         "order scaling_factor output_height output_width preserve_aspect_ratio")):
        assert set(names.split()) <= set(inspect.signature(call).parameters), call
    assert next(iter(inspect.signature(client_from_service).parameters)) == "service"
