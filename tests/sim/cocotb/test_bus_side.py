"""FETCH, LOAD and STORE together on a bus simulated by cocotbext-axi."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRAFFIC: dict[str, dict[str, Any]] = {
    "at full speed": {},
    "with pauses": {"pause": 0.4},
    "with late words": {"delay": 0.05},
    "with pauses, late and mixed words": {"pause": 0.2, "delay": 0.03, "mixed": True},
}


@pytest.mark.parametrize("kind", TRAFFIC)
def test_every_word_ends_where_the_emulator_puts_it(bus_side_simulator: Path, bench: Callable[..., None],
                                                    kind: str) -> None:
    seed = list(TRAFFIC).index(kind)
    bench(bus_side_simulator, "bench_bus_side", "transfers", seed, traffic=TRAFFIC[kind] | {"seed": seed})


def test_a_bus_error_reaches_the_unit_at_fault(bus_side_simulator: Path, bench: Callable[..., None]) -> None:
    bench(bus_side_simulator, "bench_bus_side", "refusals", traffic={"pause": 0.3, "seed": 9})
