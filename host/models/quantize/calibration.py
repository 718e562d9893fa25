"""Calibration data: what a float network is run on, one image at a time, to find the range of every tensor."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.quantize.archive import Archive
from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.models.quantize.folder import Folder
from arrayloom.host.models.quantize.port import Port
from arrayloom.host.vision import Recipe
from arrayloom.host.vision import recipe as find_recipe

Array = NDArray[Any]
Feed = dict[str, Array]


class Calibration:
    """Images to calibrate on, made anew for every pass over them, so that one at a time is in memory.

    Args:
        names: what messages call each image; their number is the number of images.
        feeds: gives, for the network's inputs, arrays by input name with a batch of 1, image after image.
    """

    def __init__(self, names: Sequence[str], feeds: Callable[[Sequence[Port]], Iterator[Feed]]) -> None:
        if not names:
            raise QuantizeError("the calibration holds no image; give at least one, better a few dozen like those to come")
        self.names = tuple(names)
        self._feeds = feeds

    def __len__(self) -> int:
        return len(self.names)

    def feeds(self, ports: Sequence[Port]) -> Iterator[Feed]:
        """Image after image as float32 arrays by input name, [1, ...].

        Raises:
            QuantizeError: an image does not fit the network's inputs.
        """
        for name, feed in zip(self.names, self._feeds(ports), strict=True):
            yield checked(feed, ports, name)

    @classmethod
    def from_folder(cls, path: str | Path, recipe: str | Recipe) -> "Calibration":
        """The JPEG, PNG and BMP files of a folder and the folders in it, in the order of their paths.

        Args:
            recipe: the preprocessing, or its name.

        Raises:
            QuantizeError: the folder is missing or empty, files cannot be read as images, or images differ in size and
                the recipe keeps that.
        """
        chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
        folder = Folder(Path(path), chosen)
        return cls(folder.names, lambda ports: ({only(ports, path).name: image} for image in folder.images()))

    @classmethod
    def from_npz(cls, path: str | Path, recipe: str | Recipe | None = None) -> "Calibration":
        """The arrays of an .npz file: float32 [N, ...] by input name (or under any name for the only input).

        With a recipe the file holds photographs instead, one uint8 array [N, H, W, 3] in RGB order.

        Raises:
            QuantizeError: the file cannot be read, or holds no such array.
        """
        archive = Archive(Path(path))
        if recipe is None:
            return cls(archive.labels(), archive.feeds)
        chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
        member = archive.photographs()
        names = archive.labels(member)
        return cls(names, lambda ports: (
            {only(ports, path).name: chosen.apply(pixels)} for pixels in archive.rows(member)))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array] | Array | Sequence[Array | Mapping[str, Array]]) -> "Calibration":
        """Arrays in memory: by input name [N, ...], for the only input [N, ...], or a list of single images.

        The images of a list are arrays [1, ...] or [...] for the only input, or mappings from input names to such.

        Raises:
            QuantizeError: there is no image, or the inputs hold different numbers of them.
        """
        images = _split(arrays)
        return cls([f"image {index}" for index in range(len(images))],
                   lambda ports: (_named(image, ports) for image in images))


def only(ports: Sequence[Port], where: str | Path) -> Port:
    """The only input of a network; raises `QuantizeError` where there are several."""
    if len(ports) > 1:
        listed = ", ".join(str(port) for port in ports)
        raise QuantizeError(f"{where}: the network has {len(ports)} inputs ({listed}); give an .npz with one array for each")
    return ports[0]


def checked(feed: Feed, ports: Sequence[Port], name: str) -> Feed:
    """The feed itself; raises `QuantizeError` where names, shapes, dtypes or values do not fit the inputs."""
    wanted = ", ".join(str(port) for port in ports)
    if set(feed) != {port.name for port in ports}:
        given = ", ".join(f"'{key}'" for key in feed)
        raise QuantizeError(f"{name}: holds {given}, but the network takes {wanted}; name the arrays after the inputs")
    for port in ports:
        value = feed[port.name]
        if value.dtype != np.float32:
            raise QuantizeError(f"{name}: '{port.name}' has dtype {value.dtype}, but the network takes {wanted}; convert it "
                                "with .astype(numpy.float32), or give --preprocess NAME for uint8 photographs")
        if value.shape != (1, *port.shape):
            given = ", ".join(map(str, value.shape[1:]))
            raise QuantizeError(f"{name}: '{port.name}' has shape [N, {given}], but the network takes {wanted}; "
                                "choose a recipe that makes that shape, or reshape the array")
        if not np.isfinite(value).all():
            raise QuantizeError(f"{name}: '{port.name}' holds NaN or infinity; remove that image")
    return feed


def _split(arrays: Any) -> list[Any]:
    """Single images, each an array with a batch of 1 or a mapping to such."""
    if isinstance(arrays, Mapping):
        counts = {key: len(value) for key, value in arrays.items()}
        if len(set(counts.values())) > 1:
            raise QuantizeError(f"the inputs hold different numbers of images: {counts}; give one array row an image")
        return [{key: np.asarray(value[index:index + 1]) for key, value in arrays.items()}
                for index in range(next(iter(counts.values()), 0))]
    if isinstance(arrays, np.ndarray):
        return [arrays[index:index + 1] for index in range(len(arrays))]
    return list(arrays)


def _named(image: Mapping[str, Array] | Array, ports: Sequence[Port]) -> Feed:
    pairs: Iterable[tuple[str, Array]] = image.items() if isinstance(image, Mapping) else [
        (only(ports, "the calibration").name, image)]
    ranks = {port.name: len(port.shape) for port in ports}
    return {name: value[np.newaxis] if value.ndim == ranks.get(name) else value for name, value in pairs}
