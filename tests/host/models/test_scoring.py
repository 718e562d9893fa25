"""Scores of the digits network, by the emulator and by ONNX Runtime alone."""

import numpy as np
import pytest

from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend import import_model
from arrayloom.host.models import digits
from arrayloom.host.models.scoring import rank_outputs, score_by_reference, score_on_device
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.errors import DeviceError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.isa.config import load_config

FILES = [digits.IMAGES / "digit_3_0705.png", digits.IMAGES / "digit_7_1496.png"]


def test_device_and_reference_give_the_same_scores() -> None:
    imported, program = import_model(digits.MODEL), compile_model(digits.MODEL, config="tiny")
    batches = [load_inputs(file, program.inputs, "digits") for file in FILES]
    device = score_on_device(program, batches, open_device("emulator", load_config("tiny")), with_features=True)
    reference = score_by_reference(imported, batches)
    assert device.names == reference.names
    for one, other in zip(device.outputs, reference.outputs, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in device.names)
    assert len(device.features) == len(FILES) and reference.features == []
    assert device.report is not None and device.report.macs == len(FILES) * program.macs
    assert reference.report is None
    ranked = [rank_outputs(outputs, device.names, 1, None, 0.5) for outputs in device.outputs]
    assert [entry.label for ((entry,),) in ranked] == ["3", "7"]


def test_features_of_a_network_without_a_classifier() -> None:
    program = compile_model(digits.MODEL, config="tiny")
    program.features = None
    batches = [load_inputs(FILES[0], program.inputs, "digits")]
    with pytest.raises(DeviceError, match="it has no features"):
        score_on_device(program, batches, open_device("emulator", load_config("tiny")), with_features=True)
