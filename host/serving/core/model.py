"""The models that a service knows: what each takes and gives, by name and version."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arrayloom.host.runtime.boundary import apply_tail
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.bundle import input_dtype
from arrayloom.host.serving.core.errors import Kind, ServeError, ServiceError
from arrayloom.isa.program import Output


@dataclass(frozen=True)
class Port:
    """One input or output; ``shape`` without the batch."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def batched(self) -> tuple[int, ...]:
        """The shape with an open batch, as metadata give it."""
        return (-1, *self.shape)


@dataclass(frozen=True, eq=False)
class Model:
    """One bundle as a service sees it; the program itself is with the replicas."""

    name: str
    version: int
    folder: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    labels: tuple[str, ...] | None
    recipe: str | None
    configuration: str

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Raises ``BundleError``."""
        bundle = Bundle.load(folder)
        program = bundle.program
        return cls(bundle.name, bundle.version, folder.absolute(),
                   tuple(Port(port.name, port.shape, input_dtype(port)) for port in program.inputs),
                   tuple(_output(port) for port in program.outputs),
                   bundle.labels, bundle.recipe, program.config)

    @property
    def key(self) -> str:
        return f"{self.name}:{self.version}"

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


def _output(port: Output) -> Port:
    """What the host's steps make of the device's integers, found by taking them."""
    result = apply_tail(np.zeros((1, *port.shape), port.slot.dtype), port)
    return Port(port.name, result.shape[1:], result.dtype)


class Repository:
    """Models by name and version; ``default`` answers requests that name none."""

    def __init__(self, models: Sequence[Model]) -> None:
        if not models:
            raise ServeError("no bundle given; name at least one folder made by Bundle.save")
        self._models: dict[str, dict[int, Model]] = {}
        for model in models:
            versions = self._models.setdefault(model.name, {})
            if model.version in versions:
                raise ServeError(f"{model.folder}: {model} is in {versions[model.version].folder} already")
            versions[model.version] = model
        self.default = models[0]

    def __iter__(self) -> Iterator[Model]:
        return (model for versions in self._models.values() for model in versions.values())

    def versions(self, name: str) -> list[Model]:
        """All versions of a name (the default's when empty), in order; raises ``ServiceError`` for an unknown one."""
        name = name or self.default.name
        if name not in self._models:
            raise ServiceError(Kind.NOT_FOUND, f"model {_shown(name)} is unknown; known: {', '.join(self._models)}")
        return [self._models[name][version] for version in sorted(self._models[name])]

    def find(self, name: str, version: int | None, held: Model) -> Model:
        """The model of that name and version. Without a name: the default. Without a version: the one on the device
        (``held``), else the default's, else the latest. Raises ``ServiceError`` for unknown ones."""
        versions = self.versions(name)
        if version is not None:
            for model in versions:
                if model.version == version:
                    return model
            known = ", ".join(str(model.version) for model in versions)
            raise ServiceError(Kind.NOT_FOUND, f"model {versions[0].name} has no version {version}; known: {known}")
        if not name:
            return self.default
        return next((model for model in (held, self.default) if model.name == name), versions[-1])


def parse_version(text: str) -> int | None:
    """A version in a path or message; empty is None. Raises ``ServiceError``."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ServiceError(Kind.NOT_FOUND, f"version {_shown(text)}: versions are integers from 1 up")
    return int(text)


def _shown(text: str) -> str:
    return json.dumps(text[:100])
