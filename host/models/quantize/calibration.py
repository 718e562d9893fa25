"""Calibration data: the images on which a float network is run to find value ranges, and their classes."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.calibration_files import Archive, Folder, Port
from arrayloom.host.vision import Recipe
from arrayloom.host.vision import recipe as find_recipe

Array = NDArray[Any]
Feed = dict[str, Array]


class Calibration:
    """Images for calibration, produced again for every pass, so that only one at a time is in memory.

    Parameters
    ----------
    names : Sequence[str]
        Name of each image in messages; their number is the number of images.
    feeds : Callable[[Sequence[Port]], Iterator[Feed]]
        Yields, image by image, arrays by input name with a batch of 1 for the network's inputs.
    """

    def __init__(self, names: Sequence[str], feeds: Callable[[Sequence[Port]], Iterator[Feed]]) -> None:
        if not names:
            raise QuantizeError("the calibration holds no image; give at least one, better a few dozen representative ones")
        self.names = tuple(names)
        self._feeds = feeds

    def __len__(self) -> int:
        return len(self.names)

    def feeds(self, ports: Sequence[Port]) -> Iterator[Feed]:
        """Yields, image by image, arrays [1, ...] by input name, with the inputs' dtypes.

        Raises
        ------
        QuantizeError
            An image does not fit the network's inputs.
        """
        for name, feed in zip(self.names, self._feeds(ports), strict=True):
            yield checked(feed, ports, name)

    def some(self, count: int) -> "Calibration":
        """At most `count` of the images, evenly spread."""
        step = -(-len(self) // count)
        return Calibration(self.names[::step], lambda ports: itertools.islice(self._feeds(ports), 0, None, step))

    @classmethod
    def from_path(cls, path: Path, recipe: str | None, takes_arrays: bool = False) -> "Calibration":
        """A folder of photographs, or an .npz file of photographs or arrays.

        Parameters
        ----------
        recipe : str | None
            The preprocessing of photographs; None if the file holds arrays.
        takes_arrays : bool
            Whether the file may hold arrays even though a recipe is given: it is then the model's, and is applied to
            photographs only.

        Raises
        ------
        QuantizeError
            There is no such folder or file, its content is of neither kind, or a recipe for photographs is missing.
        """
        if path.suffix == ".npz":
            photographs = not takes_arrays or Archive(path).holds_pixels
            return cls.from_npz(path, recipe if photographs else None)
        if not path.exists():
            raise QuantizeError(f"{path}: no such folder or file; give a folder of photographs, or an .npz file")
        if recipe is None:
            raise QuantizeError(f"{path}: photographs need a preprocessing recipe; add --preprocess NAME (recipe)")
        return cls.from_folder(path, recipe)

    @classmethod
    def from_folder(cls, path: str | Path, recipe: str | Recipe) -> "Calibration":
        """The JPEG, PNG and BMP files of a folder and its subfolders, in the order of their paths.

        Parameters
        ----------
        recipe : str | Recipe
            The preprocessing, or its name.

        Raises
        ------
        QuantizeError
            The folder is missing or empty, files cannot be read as images, or images differ in size and the recipe does not
            change that.
        """
        chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
        folder = Folder(Path(path), chosen)

        def feeds(ports: Sequence[Port]) -> Iterator[Feed]:
            port = only(ports, path)
            return ({port.name: image} for image in folder.images(port))

        return cls(folder.names, feeds)

    @classmethod
    def from_npz(cls, path: str | Path, recipe: str | Recipe | None = None) -> "Calibration":
        """The arrays of an .npz file: float32 [N, ...] by input name (or under any name for the only input).

        With a recipe the file holds photographs instead, one uint8 array [N, H, W, 3] in RGB order.

        Raises
        ------
        QuantizeError
            The file cannot be read, or holds no such array.
        """
        archive = Archive(Path(path))
        if recipe is None:
            return cls(archive.labels(), archive.feeds)
        chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe)
        member = archive.photographs()
        names = archive.labels(member)

        def feeds(ports: Sequence[Port]) -> Iterator[Feed]:
            port = only(ports, path)
            return ({port.name: chosen.apply_for(pixels, (1, *port.shape), port.dtype)} for pixels in archive.rows(member))

        return cls(names, feeds)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array] | Array | Sequence[Array | Mapping[str, Array]]) -> "Calibration":
        """Arrays in memory: by input name [N, ...], for the only input [N, ...], or a list of single images.

        The images of a list are arrays [1, ...] or [...] for the only input, or mappings from input names to such.

        Raises
        ------
        QuantizeError
            There is no image, or the inputs hold different numbers of them.
        """
        images = _split(arrays)
        return cls([f"image {index}" for index in range(len(images))],
                   lambda ports: (_named(image, ports) for image in images))


def only(ports: Sequence[Port], where: str | Path) -> Port:
    """The only input of a network; raises `QuantizeError` if there are several."""
    if len(ports) > 1:
        listed = ", ".join(str(port) for port in ports)
        raise QuantizeError(f"{where}: the network has {len(ports)} inputs ({listed}); give an .npz with one array for each")
    return ports[0]


def checked(feed: Feed, ports: Sequence[Port], name: str) -> Feed:
    """Returns the feed; raises `QuantizeError` if names, shapes, dtypes or values do not fit the inputs."""
    wanted = ", ".join(str(port) for port in ports)
    if set(feed) != {port.name for port in ports}:
        given = ", ".join(f"'{key}'" for key in feed)
        raise QuantizeError(f"{name}: holds {given}, but the network takes {wanted}; name the arrays after the inputs")
    for port in ports:
        value = feed[port.name]
        if value.dtype != port.dtype:
            raise QuantizeError(f"{name}: '{port.name}' has dtype {value.dtype}, but the network takes {wanted}; convert it "
                                f"with .astype(numpy.{port.dtype}), or give --preprocess NAME (recipe) for "
                                "uint8 photographs")
        if value.shape != (1, *port.shape):
            given = ", ".join(map(str, value.shape[1:]))
            raise QuantizeError(f"{name}: '{port.name}' has shape [N, {given}], but the network takes {wanted}; "
                                "choose a recipe that makes that shape, or reshape the array")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise QuantizeError(f"{name}: '{port.name}' holds NaN or infinity; remove that image")
    return feed


def _split(arrays: Any) -> list[Any]:
    """Single images, each an array with a batch of 1 or a mapping to such."""
    if isinstance(arrays, Mapping):
        counts = {key: len(value) for key, value in arrays.items()}
        if len(set(counts.values())) > 1:
            raise QuantizeError(f"the inputs hold different numbers of images: {counts}; give one array row per image")
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


def load_classes(path: Path, calibration: Calibration) -> list[int]:
    """The class index of each image, in the images' order.

    The file holds one class per image: a text with lines `CLASS`, or `IMAGE CLASS`, where IMAGE is the end of an image's
    path; an .npy of integers [N]; or an .npz with one such array.

    Raises
    ------
    QuantizeError
        The file cannot be read, or does not give each image one class.
    """
    if path.suffix in (".npy", ".npz"):
        return _counted(path, _from_array(path), calibration)
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise QuantizeError(f"{path}: labels cannot be read: {error}") from None
    if any(len(words) > 1 for words in lines):
        return _by_name(path, lines, calibration)
    return _counted(path, [_index(path, number, words[0]) for number, words in enumerate(lines, start=1)], calibration)


def _by_name(path: Path, lines: list[list[str]], calibration: Calibration) -> list[int]:
    given = {" ".join(words[:-1]): _index(path, number, words[-1]) for number, words in enumerate(lines, start=1)}
    classes = []
    for name in calibration.names:
        parts = Path(name).parts
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        found = [given[end] for end in ends if end in given]
        if not found:
            raise QuantizeError(f"{path}: has no label for {name}; add a line '{Path(name).name} CLASS'")
        classes.append(found[0])
    return classes


def _from_array(path: Path) -> list[int]:
    values: NDArray[Any]
    if path.suffix == ".npz":
        archive = Archive(path)
        found = [m for m in archive.members if len(m.shape) == 1 and np.issubdtype(m.dtype, np.integer)]
        if len(found) != 1:
            raise QuantizeError(f"{archive}, but labels are one array of integers [N]; leave the others out")
        values = np.array(list(archive.rows(found[0])))
    else:
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise QuantizeError(f"{path}: labels cannot be read: {error}") from None
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise QuantizeError(f"{path}: holds {values.dtype} {list(values.shape)}; labels are integers [N], one per image")
    if values.size and values.min() < 0:
        raise QuantizeError(f"{path}: label {values.min()} is negative; classes count from 0")
    return [int(value) for value in values]


def _index(path: Path, number: int, word: str) -> int:
    if not word.isdecimal():
        raise QuantizeError(f"{path}, line {number}: '{word}' is not a class index; give a number from 0")
    return int(word)


def _counted(path: Path, classes: list[int], calibration: Calibration) -> list[int]:
    if len(classes) != len(calibration):
        raise QuantizeError(f"{path}: holds {len(classes)} labels for {len(calibration)} images; give one per image, in the "
                            "order of their paths")
    return classes
