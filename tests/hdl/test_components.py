"""Every component documents its parameters and members, and refuses arguments that would build wrong hardware."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Fragment
from amaranth.lib.wiring import Component, Signature

from arrayloom import hdl
from arrayloom.hdl.bursts import Bursts
from arrayloom.hdl.issue import Issue
from arrayloom.hdl.post.average import AverageLane
from arrayloom.hdl.post.fetch import Residuals
from arrayloom.hdl.post.parameters import ParameterHalf
from arrayloom.hdl.post.records import REGION
from arrayloom.hdl.post.tokens import Tokens
from arrayloom.hdl.post.writer import Writer
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import Unit

TINY = PRESETS["tiny"]
ALL_UNITS = replace(TINY, name="all", depthwise_channels=TINY.size)
ATTENTION = PRESETS["tiny-vit"]     # has the unit that excludes a DEPTHWISE unit
ARGUMENTS = {"config": ALL_UNITS, "units": len(ALL_UNITS.units), "most": 4, "shape": 8,
             "unit": 1, "groups": 2, "depth": 4, "stages": 3, "layout": REGION}
OWN_ARGUMENTS: dict[type[Any], dict[str, Any]] = {Issue: {"unit": Unit.LOAD}}
SIGNATURE_ARGUMENTS = {"config": ALL_UNITS, "units": len(ALL_UNITS.units), "always_ready": False}


def _modules() -> Iterator[Any]:
    for module in pkgutil.walk_packages(hdl.__path__, "arrayloom.hdl."):
        yield importlib.import_module(module.name)


COMPONENTS = {f"{module.__name__}.{name}": thing for module in _modules() for name, thing in vars(module).items()
              if inspect.isclass(thing) and issubclass(thing, Component) and thing.__module__ == module.__name__}
SIGNATURES = {f"{module.__name__}.{name}": thing for module in _modules() for name, thing in vars(module).items()
              if inspect.isfunction(thing) and thing.__module__ == module.__name__ and name.endswith("_signature")
              and not name.startswith("axi")}   # AXI's own names


def _section(doc: str, title: str) -> dict[str, str]:
    """The names in a section of a numpydoc docstring, with the text after the colon."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n|\Z)", doc, re.S | re.M)
    lines = [line for line in (found[1].splitlines() if found else []) if not line.startswith(" ")]
    parts = [line.partition(" : ") for line in lines]
    return {name: rest for names, _, rest in parts for name in names.split(", ")}


def _flows(members: Any) -> dict[str, str]:
    return {name: member.flow.name for name, member in members.items()}


def _documented(doc: str) -> dict[str, str]:
    return {name: rest.partition("(")[0] for name, rest in _section(doc, "Members").items()}


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_document_parameters_and_members(name: str) -> None:
    cls = COMPONENTS[name]
    doc = inspect.cleandoc(cls.__doc__ or "")
    parameters = inspect.signature(cls).parameters if "__init__" in vars(cls) else {}
    required = [each for each in parameters if parameters[each].default is inspect.Parameter.empty]
    flows: dict[str, str] = {}
    for config in _configs(name) if "config" in required else [ALL_UNITS]:
        arguments = ARGUMENTS | {"config": config, "units": len(config.units)} | OWN_ARGUMENTS.get(cls, {})
        component = cls(**{each: arguments[each] for each in required})
        Fragment.get(component, None)
        flows |= _flows(component.signature.members)
    assert list(_section(doc, "Parameters")) == list(parameters)
    assert _documented(doc) == flows


def _configs(name: str) -> list[Config]:
    """Those whose units have the component."""
    if ".attention." in name:
        return [ATTENTION]
    return [ALL_UNITS] if ".depthwise." in name else [ALL_UNITS, ATTENTION]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_document_members(name: str) -> None:
    function: Callable[..., Signature] = SIGNATURES[name]
    signature = function(**{each: SIGNATURE_ARGUMENTS[each] for each in inspect.signature(function).parameters})
    assert _documented(inspect.cleandoc(function.__doc__ or "")) == _flows(signature.members)


@pytest.mark.parametrize(("build", "message"), [
    (lambda: Bursts(TINY, 12), "longest = 12: must be a power of two from 1 to 16 words"),
    (lambda: Bursts(TINY, 32), "longest = 32: must be a power of two from 1 to 16 words"),
    (lambda: Issue(TINY, "load"), "unit = 'load': must be a member of Unit"),
    (lambda: AverageLane(3), "groups = 3: must be a power of two, at least 1"),
    (lambda: ParameterHalf(TINY, 1 << 32), "unit = 4294967296: must fit 32 bits"),
    (lambda: Residuals(TINY, 0), "depth = 0: must be at least 1 word"),
    (lambda: Writer(TINY, 0), "depth = 0: must be at least 1 word"),
    (lambda: Tokens(TINY, 0), "stages = 0: must be at least 1"),
])
def test_refusals(refuses: Any, build: Callable[[], Any], message: str) -> None:
    refuses(build, message)
