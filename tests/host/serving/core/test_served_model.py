"""The models of a service: how a name and a version select one."""

from pathlib import Path

import pytest

from arrayloom.host.serving.core.repository import Repository, parse_version
from arrayloom.host.serving.core.served_model import Model, known_name
from arrayloom.host.serving.errors import ServiceError


def _model(name: str, version: int) -> Model:
    return Model(name, version, Path(name), (), (), None, None, "tiny")


def test_which_model_is_meant() -> None:
    one, two, other = _model("m", 1), _model("m", 2), _model("n", 7)
    repository = Repository([one, two, other])
    assert repository.find("", None) is repository.find("m", None) is one
    assert repository.find("m", 2) is two
    assert repository.find("n", None) is other
    assert repository.find("m", None) is one        # regardless of what was requested in between
    repository.choose(two)
    assert repository.find("", None) is repository.find("m", None) is two
    repository.choose(other)
    assert repository.find("", None) is other
    assert repository.find("m", None) is two
    assert Repository([other, one, two]).find("m", None) is two     # the latest version, if none was chosen
    for name, version in (("x", None), ("m", 3), ("../m", None)):
        with pytest.raises(ServiceError, match="known: "):
            repository.find(name, version)


@pytest.mark.parametrize(("names", "asked", "meant"), [
    (["a", "a:0"], "a", "a"), (["a", "a:0"], "a:0", "a:0"), (["a"], "a:0", "a"), (["x:0"], "x", "x:0"),
    (["x:0"], "x:0", "x:0")])
def test_which_tensor_is_meant(names: list[str], asked: str, meant: str) -> None:
    assert known_name(names, asked, "input") == meant


@pytest.mark.parametrize("text", ["x", "-1", "1.0", "²", "9" * 20])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ServiceError, match="versions are integers"):
        parse_version(text)
