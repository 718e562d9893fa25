"""Options of the tests on whole graphs."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The number of random graphs; without the option, each test's own default."""
    parser.addoption("--random-graphs", type=int, metavar="N", help="number of random graphs compared with ONNX Runtime "
                     "on the emulator; a tenth of them runs on the RTL too")
