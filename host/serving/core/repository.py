"""The models that a service knows, by name, version and label, and which of them are loaded."""

from collections.abc import Iterator, Mapping, Sequence

from arrayloom.host.serving.core.served_model import Model, shown
from arrayloom.host.serving.errors import Kind, ServeError, ServiceError

Labels = Mapping[str, Mapping[str, int]]
"""Versions by label, by the model's name."""

MOST_LABELS, LONGEST_LABEL = 64, 255


class Repository:
    """Models by name and version; ``default`` answers requests that name none.

    One version of each name answers requests without a version: the one that an operator chose last, else that of the
    first bundle, else the latest. Other clients' requests do not change it. A model that an operator has unloaded stays
    known, but answers nothing until it is loaded again.
    """

    def __init__(self, models: Sequence[Model], labels: Labels | None = None) -> None:
        if not models:
            raise ServeError("no bundle given; name at least one folder made by Bundle.save")
        self._models: dict[str, dict[int, Model]] = {}
        for model in models:
            versions = self._models.setdefault(model.name, {})
            if model.version in versions:
                raise ServeError(f"{model.folder}: {model} is in {versions[model.version].folder} already")
            versions[model.version] = model
        self.default = models[0]
        self._chosen = {self.default.name: self.default}
        self._unloaded: set[Model] = set()
        self._labels: dict[str, dict[str, int]] = {}
        self.label(labels or {})

    def __iter__(self) -> Iterator[Model]:
        return (model for versions in self._models.values() for model in versions.values())

    def versions(self, name: str) -> list[Model]:
        """All versions of a name (the default's when empty), in order; raises ``ServiceError`` for an unknown one."""
        name = name or self.default.name
        if name not in self._models:
            raise ServiceError(Kind.NOT_FOUND, f"model {shown(name)} is unknown; known: {', '.join(self._models)}")
        return [self._models[name][version] for version in sorted(self._models[name])]

    def choose(self, model: Model) -> None:
        """Makes this model the default, and this version the default version of its name."""
        self.default = self._chosen[model.name] = model

    def find(self, name: str, version: int | None, label: str = "") -> Model:
        """The model of that name and version or label (defaults if they are missing), whether loaded or not.

        Raises ``ServiceError`` if it is unknown.
        """
        versions = self.versions(name)
        if label:
            version = self._labelled(versions[0].name, label)
        if version is None:
            chosen = self._chosen.get(versions[0].name, versions[-1])
            return chosen if self.is_loaded(chosen) else next(filter(self.is_loaded, reversed(versions)), chosen)
        for model in versions:
            if model.version == version:
                return model
        known = ", ".join(str(model.version) for model in versions)
        raise ServiceError(Kind.NOT_FOUND, f"model {versions[0].name} has no version {version}; known: {known}")

    def is_loaded(self, model: Model) -> bool:
        return model not in self._unloaded

    @property
    def any_loaded(self) -> bool:
        return any(map(self.is_loaded, self))

    def meant(self, name: str, version: int | None) -> list[Model]:
        """That version, or all versions of the name if none is given."""
        return self.versions(name) if version is None else [self.find(name, version)]

    def unload(self, models: Sequence[Model]) -> None:
        """Unloads these models; if the default was one of them, another loaded model becomes the default."""
        self._unloaded.update(models)
        if not self.is_loaded(self.default):
            self.default = next(filter(self.is_loaded, self), self.default)

    def restore(self, models: Sequence[Model]) -> None:
        """These answer again."""
        self._unloaded.difference_update(models)

    def label(self, labels: Labels) -> None:
        """Replaces the version labels of the named models; raises ``ServeError``."""
        for name, versions in labels.items():
            if name not in self._models:
                raise ServeError(f"version_labels: model {shown(name)} is unknown; known: {', '.join(self._models)}")
            if len(versions) > MOST_LABELS:
                raise ServeError(f"version_labels of model {name}: {len(versions)} labels; {MOST_LABELS} at most")
            for label, version in versions.items():
                if version not in self._models[name]:
                    raise ServeError(f"version_labels of model {name}: {shown(label)} is for version {version}, which is "
                                     f"not served; there are {', '.join(map(str, sorted(self._models[name])))}")
                if not 0 < len(label) <= LONGEST_LABEL:
                    raise ServeError(f"version_labels of model {name}: a label of {len(label)} characters; 1 1 "
                                     f"to {LONGEST_LABEL} are accepted")
        self._labels.update({name: dict(versions) for name, versions in labels.items()})

    def _labelled(self, name: str, label: str) -> int:
        known = self._labels.get(name, {})
        if label not in known:
            raise ServiceError(Kind.NOT_FOUND, f"model {name} has no version label {shown(label)}; it has "
                                               f"{', '.join(known) or 'none'}")
        return known[label]


def parse_version(text: str) -> int | None:
    """Parses a version in a path or message; an empty one is None. Raises ``ServiceError``."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ServiceError(Kind.NOT_FOUND, f"version {shown(text)}: versions are integers from 1 up")
    return int(text)
