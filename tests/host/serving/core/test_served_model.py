"""The models of a service: which one a name and a version mean."""

from pathlib import Path

import pytest

from arrayloom.host.serving.core.served_model import Model, Repository, parse_version
from arrayloom.host.serving.errors import ServiceError


def _model(name: str, version: int) -> Model:
    return Model(name, version, Path(name), (), (), None, None, "tiny")


def test_which_model_is_meant() -> None:
    one, two, other = _model("m", 1), _model("m", 2), _model("n", 7)
    repository = Repository([one, two, other])
    assert repository.find("", None, held=other) is one
    assert repository.find("m", None, held=other) is one
    assert repository.find("m", None, held=two) is two
    assert repository.find("m", 2, held=one) is two
    assert repository.find("n", None, held=one) is other
    repository.default = two
    assert repository.find("", None, held=other) is two
    for name, version in (("x", None), ("m", 3), ("../m", None)):
        with pytest.raises(ServiceError, match="known: "):
            repository.find(name, version, held=one)


@pytest.mark.parametrize("text", ["x", "-1", "1.0", "²", "9" * 20])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ServiceError, match="versions are integers"):
        parse_version(text)
