"""What both devices offer for verification: the words they wrote, and their intermediate results where visible."""

import numpy as np
import pytest

from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import EmulatorDevice, RtlDevice
from arrayloom.host.runtime.boundary import device_inputs
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.errors import DeviceError
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import PRESETS
from arrayloom.isa.image import build_memory, write_inputs
from arrayloom.isa.program import Program

TINY = PRESETS["tiny"]
IMAGE = digits.IMAGES / "digit_3_0705.png"


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, config=TINY)


def execute(device: Device, program: Program) -> None:
    memory = build_memory(program)
    integers = device_inputs({"image": preprocess(IMAGE, "digits")}, program.inputs)
    write_inputs(memory, program, {name: values[0] for name, values in integers.items()})
    device.execute(program, memory)


def test_both_write_the_same_words_in_the_same_order(program: Program) -> None:
    emulator, rtl = EmulatorDevice(TINY, record=True), RtlDevice(TINY)
    for device in (emulator, rtl):
        execute(device, program)
    assert len(emulator.trace().addresses)
    for expected, got, again in zip(emulator.trace(), rtl.trace(), rtl.trace(), strict=True):
        assert expected.dtype == got.dtype
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(again, expected)
    rtl.close()


def test_only_the_emulator_shows_what_is_not_written(program: Program) -> None:
    emulator, rtl = EmulatorDevice(TINY, record=True), RtlDevice(TINY)
    for device in (emulator, rtl):
        execute(device, program)
    assert rtl.capture() is None
    tensors = [emulator.capture().tensor(program, name) for name in program.layouts]
    assert sum(tensor is not None for tensor in tensors) > 1
    rtl.close()


@pytest.mark.parametrize("make", [RtlDevice, lambda config: EmulatorDevice(config, record=True)])
def test_before_the_first_run_and_after_the_end_nothing_is_there(make: type, program: Program) -> None:
    device = make(TINY)
    with pytest.raises(DeviceError, match="nothing has run yet"):
        device.trace()
    execute(device, program)
    device.close()
    with pytest.raises(DeviceError, match="nothing has run yet"):
        device.trace()


def test_an_emulator_that_does_not_record_says_so(program: Program) -> None:
    device = EmulatorDevice(TINY)
    execute(device, program)
    for ask in (device.trace, device.capture):
        with pytest.raises(DeviceError, match="records nothing; create it with record=True"):
            ask()
