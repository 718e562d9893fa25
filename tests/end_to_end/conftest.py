"""Options of the tests on whole graphs."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random graphs; as many as the tests say where the option is not given."""
    parser.addoption("--random-graphs", type=int, metavar="N", help="number of random graphs compared with ONNX Runtime "
                     "on the emulator; a tenth of them runs on the RTL too")
