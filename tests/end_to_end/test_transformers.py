"""Vision transformers through the RTL, every tensor equal to ONNX Runtime's and every cycle of every unit accounted for."""

from pathlib import Path

import numpy as np
import pytest
import transformer_networks

from arrayloom.host.runtime import verify

FORMS = ("qop_u8s8", "qdq_u8s8", "qdq_s8s8_pc_sym")


def _check(model: object, image: np.ndarray, config: str) -> None:
    verdict = verify(model, {"image": image}, config, "rtl")
    assert verdict.first_difference is None and verdict.bytes_differing == 0
    assert verdict.tensors_compared > 30
    assert verdict.report.counters is not None
    for unit, causes in verdict.report.counters.items():
        assert sum(causes.values()) == verdict.report.cycles, unit


@pytest.mark.slow
@pytest.mark.parametrize("config", ["tiny-vit", "16x16-vit"])
@pytest.mark.parametrize("form", FORMS)
def test_a_given_transformer(shared_data: Path, form: str, config: str) -> None:
    folder = shared_data / "transformers"
    _check(folder / f"vit_micro_p8_{form}.onnx", np.load(folder / "calib.npz")["image"][:1].astype(np.float32), config)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "config"), [
    ("vit_micro", "32x32-vit"), ("vit_tiny", "16x16-vit"), ("vit_tiny", "32x32-vit")])
def test_a_drawn_transformer(name: str, config: str) -> None:
    _check(transformer_networks.build(name), transformer_networks.picture(name), config)
