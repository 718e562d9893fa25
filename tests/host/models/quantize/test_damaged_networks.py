"""Damaged float networks are refused with an ArrayloomError or quantized; no exception of ONNX Runtime reaches the user."""

import float_networks
import numpy as np
import pytest
from mutations import mutate

from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize import Calibration, quantize
from arrayloom.isa.errors import ArrayloomError

BASES = (float_networks.residual, float_networks.activations, float_networks.pools, float_networks.movements,
         float_networks.factors_of_gemm, float_networks.upsampling, float_networks.folded_normalization,
         float_networks.sum_of_three)
BATCH = 25


@pytest.mark.parametrize("first", range(0, 100, BATCH))
def test_damaged_networks(first: int, capfd: pytest.CaptureFixture[str]) -> None:
    calibration = Calibration.from_arrays({"data": float_networks.images(2)})
    count = 0
    for seed in range(first, first + BATCH):
        rng = np.random.default_rng(seed)
        model, what = mutate(BASES[int(rng.integers(len(BASES)))](), rng, int(rng.integers(1, 3)))
        try:
            quantize(model, calibration)
            count += 1
        except ArrayloomError as error:
            assert str(error).strip()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {what}: {type(error).__name__}: {error}") from error
    assert 0 < count < BATCH
    printed = capfd.readouterr()
    assert "onnxruntime" not in printed.out + printed.err
    assert "Traceback" not in printed.err


def test_weights_that_are_not_finite() -> None:
    n = float_networks.FloatNetwork()
    x = n.conv("data")
    n.initializers[n.nodes[-1].input[1]].flat[3] = np.nan
    with pytest.raises(QuantizeError, match=r"hold NaN or infinity|is not finite on the calibration images"):
        quantize(n.classify(n.node("Relu", [x])), Calibration.from_arrays({"data": float_networks.images(2)}))
