"""Predicted cycles of networks and graphs compared with the RTL's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from random_graphs.generator import generate

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import Prediction, predict
from arrayloom.compiler.cost.machine import ReadBus
from arrayloom.compiler.cost.transfers import cut
from arrayloom.compiler.errors import CompileError
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.bus import FETCH_BUFFER_BYTES
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import Units, encode_all
from arrayloom.isa.image import build_memory
from arrayloom.isa.instructions import Convolve, End
from arrayloom.isa.program import Program, ProgramError

NETWORK_BOUND = 0.001   # relative to the cycles of a whole network
GRAPH_BOUND = 0.01      # relative to those of a graph of a few thousand cycles


@pytest.fixture(scope="module", params=["tiny", "16x16"])
def device(request: pytest.FixtureRequest) -> Iterator[RtlDevice]:
    device = RtlDevice(PRESETS[request.param])
    yield device
    device.close()


def _both(program: Program, device: RtlDevice) -> tuple[Prediction, RunReport]:
    """Cycles do not depend on the memory's contents, but FETCH's read-ahead beyond the end depends on single cycles."""
    return predict(program, device.config), device.execute(program, build_memory(program))


def _assert_near(program: Program, device: RtlDevice, bound: float) -> None:
    predicted, measured = _both(program, device)
    assert measured.counters is not None
    assert predicted.cycles == pytest.approx(measured.cycles, rel=bound)
    assert predicted.utilization == pytest.approx(measured.utilization, rel=bound)
    assert predicted.words_read == pytest.approx(measured.words_read, abs=FETCH_BUFFER_BYTES // device.config.size)
    assert predicted.words_written == measured.words_written
    for unit in ("LOAD", "ARRAY"):
        assert predicted.busy[unit] == measured.counters[unit]["COMPUTING"]


def test_digits(device: RtlDevice) -> None:
    _assert_near(compile_model(digits.MODEL, device.config), device, NETWORK_BOUND)


@pytest.mark.parametrize("model", ["resnet20_cifar10_int8_qop", "resnet20_cifar10_int8_qdq", "mlperf_tiny_resnet8_int8_qdq"])
def test_cifar_networks(shared_data: Path, model: str, device: RtlDevice) -> None:
    _assert_near(compile_model(shared_data / "models" / f"{model}.onnx", device.config), device, NETWORK_BOUND)


def test_random_graphs_with_every_kind_of_instruction() -> None:
    device, kinds = RtlDevice(PRESETS["tiny"]), set()
    for seed in range(25):
        program = compile_model(generate(seed), device.config)
        kinds |= {f"{one.mnemonic()} {getattr(one, 'kind', '')}".strip() for one in program}
        _assert_near(program, device, GRAPH_BOUND)
    assert kinds >= {"load_lookup_table", "load_parameters", "elementwise", "pool 0", "pool 1", "pool 2", "store",
                     "convolve"}


def test_layers_lie_inside_the_run_and_in_order() -> None:
    predicted = predict(compile_model(digits.MODEL, "16x16"), PRESETS["16x16"])
    convolutions = [layer for layer in predicted.layers if layer.operator == "QLinearConv"]
    assert len(convolutions) > 3
    assert [layer.first for layer in convolutions] == sorted(layer.first for layer in convolutions)
    assert all(0 < layer.first <= layer.last < predicted.cycles for layer in predicted.layers)
    assert predicted.milliseconds(200) == predicted.cycles / 200_000


def test_a_smaller_weight_fifo_costs_cycles() -> None:
    """The model depends on the resources of the configuration, not only on the program."""
    wide = PRESETS["16x16"]
    narrow = replace(wide, name="narrow", weight_words=32)
    assert _digits(narrow).cycles > _digits(wide).cycles
    assert _digits(narrow).busy["ARRAY"] == _digits(wide).busy["ARRAY"]


def _digits(config: Config) -> Prediction:
    return predict(compile_model(digits.MODEL, config), config)


def test_another_configuration_is_refused() -> None:
    with pytest.raises(ProgramError, match="compiled for configuration tiny"):
        predict(compile_model(digits.MODEL, "tiny"), PRESETS["16x16"])


def test_a_program_that_waits_for_ever_is_refused() -> None:
    program = compile_model(digits.MODEL, "tiny")
    code = encode_all([Convolve(wait=Units.LOAD, height=1, width=1, first=1, last=1), End()])
    with pytest.raises(CompileError, match="wait for each other"):
        predict(replace(program, instructions=code, layers=[]), PRESETS["tiny"])


def test_bursts_end_at_pages_and_rows() -> None:
    assert list(cut(4096 - 3 * 16, 20, 2, 100, 16, 16)) == [3, 16, 1, 16, 4]


def test_one_beat_a_cycle_after_the_latency() -> None:
    bus = ReadBus()
    assert bus.request(10, 16) == (10, 75)
    assert bus.request(10, 16) == (12, 91)
    for _ in range(14):
        bus.request(10, 16)
    accepted, first = bus.request(10, 16)
    assert (accepted, first) == (10 + 16 * 2, 75 + 16 * 16)
    accepted, first = bus.request(10, 16)
    assert accepted == 75 + 15 + 2      # previously, an address waited on the bus until the first of sixteen was answered
    assert first == 75 + 17 * 16
