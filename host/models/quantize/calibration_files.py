"""Files of calibration images: an .npz, read row by row, and a folder of photographs, decoded one at a time."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.vision import ImageError, Recipe, images_in, load_image, recipes

Array = NDArray[Any]

FLOAT = np.dtype(np.float32)

_LISTED = 5  # names in a message before "and N more"
_UNREADABLE = (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError)


@dataclass(frozen=True)
class Port:
    """An input of a float network: its name, its shape after the batch, and its dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = FLOAT

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype} [N, {', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Member:
    """An array of the archive: its name there, its shape and its dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype} {list(self.shape)}"


class Archive:
    """The arrays of an .npz file.

    Raises
    ------
    QuantizeError
        The file is missing, is damaged, or holds no array.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.members = [self._header(archive, name) for name in archive.namelist() if name.endswith(".npy")]
        except FileNotFoundError:
            raise QuantizeError(f"{path}: no such file; give the path of an .npz file") from None
        except _UNREADABLE as error:
            raise QuantizeError(f"{path}: cannot be read as .npz ({error}); write it with numpy.savez") from None
        if not self.members:
            raise QuantizeError(f"{path}: holds no array; write one for each input with numpy.savez")

    def __str__(self) -> str:
        return f"{self._path} holds {', '.join(map(str, self.members))}"

    @property
    def holds_pixels(self) -> bool:
        """Whether any array is uint8, as photographs are."""
        return any(member.dtype == np.uint8 for member in self.members)

    def labels(self, member: Member | None = None) -> list[str]:
        """Names for messages of the rows of a member, or of all members, which must have equal lengths."""
        lengths = {m.name: m.shape[0] if m.shape else 0 for m in ([member] if member else self.members)}
        if len(set(lengths.values())) > 1:
            raise QuantizeError(f"{self}: their numbers of images differ; give arrays [N, ...] of equal length, one per "
                                "input")
        return [f"{self._path}[{index}]" for index in range(next(iter(lengths.values())))]

    def photographs(self) -> Member:
        """The one uint8 array [N, H, W, 3]."""
        found = [m for m in self.members if m.dtype == np.uint8 and len(m.shape) == 4 and m.shape[3] == 3]
        if len(found) != 1:
            raise QuantizeError(f"{self}, but a recipe needs one uint8 array [N, H, W, 3] of photographs in RGB order; "
                                "leave --preprocess (recipe) out for arrays that are preprocessed already")
        return found[0]

    def feeds(self, ports: Sequence[Port]) -> Iterator[dict[str, Array]]:
        """Yields rows [1, ...] by input name; a single array may have any name."""
        names = {m.name: m for m in self.members}
        if len(ports) == 1 and len(self.members) == 1:
            names = {ports[0].name: self.members[0]}
        missing = [port for port in ports if port.name not in names]
        if missing or len(names) > len(ports):
            wanted = ", ".join(map(str, ports))
            raise QuantizeError(f"{self}, but the network takes {wanted}; name the arrays after them, and leave out others")
        columns = [self.rows(names[port.name]) for port in ports]
        for values in zip(*columns, strict=True):
            yield {port.name: value[np.newaxis] for port, value in zip(ports, values, strict=True)}

    def rows(self, member: Member) -> Iterator[Array]:
        """The rows of an array, one by one."""
        count = int(np.prod(member.shape[1:], dtype=np.int64)) * member.dtype.itemsize
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(f"{member.name}.npy") as file:
                self._skip_header(file)
                for _ in range(member.shape[0]):
                    row = file.read(count)
                    if len(row) < count:
                        raise EOFError(f"'{member.name}' is cut short")
                    yield np.frombuffer(row, member.dtype).reshape(member.shape[1:])
        except (zipfile.BadZipFile, EOFError) as error:
            raise QuantizeError(f"{self._path}: is damaged ({error}); write it again") from None

    def _header(self, archive: zipfile.ZipFile, name: str) -> Member:
        with archive.open(name) as file:
            shape, fortran, dtype = self._skip_header(file)
        if fortran or dtype.hasobject:
            kind = "Python objects" if dtype.hasobject else "an array in Fortran order"
            raise ValueError(f"{name} holds {kind}, not an array in C order")
        return Member(name.removesuffix(".npy"), shape, dtype)

    @staticmethod
    def _skip_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
        return shape, fortran, dtype


class Folder:
    """The images of a folder and its subfolders, in the order of their paths.

    Raises
    ------
    QuantizeError
        There is no such folder, it holds no images, files are not images, or images differ in size and the recipe does not
        change that.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        if not path.is_dir():
            raise QuantizeError(f"{path}: is not a folder; give a folder of photographs, or an .npz file")
        self._recipe = recipe
        try:
            self.files = images_in(path)
        except ImageError as error:
            raise QuantizeError(str(error)) from None
        self.names = [str(file) for file in self.files]
        self._check_headers(path)

    def images(self, port: Port) -> Iterator[NDArray[Any]]:
        """Each image through the recipe, [1, ...], for the input ``port``."""
        for file in self.files:
            yield self._recipe.apply_for(load_image(file), (1, *port.shape), port.dtype)

    def _check_headers(self, path: Path) -> None:
        sizes: dict[tuple[int, int], Path] = {}
        faults = []
        for file in self.files:
            try:
                with Image.open(file) as image:
                    sizes.setdefault(image.size, file)
            except Exception:  # Pillow's decoders raise many types of errors; load_image explains them
                faults.append(_fault(file))
        if faults:
            raise QuantizeError(f"{path}: {len(faults)} of {len(self.files)} images cannot be read:\n  "
                                + "\n  ".join(faults) + "\nremove or replace them")
        if len(sizes) > 1 and not makes_one_size(self._recipe):
            listed = [f"{file} is {width}x{height}" for (width, height), file in list(sizes.items())[:_LISTED]]
            more = f" and {len(sizes) - _LISTED} more sizes" if len(sizes) > _LISTED else ""
            fitting = ", ".join(recipe.name for recipe in recipes() if makes_one_size(recipe))
            raise QuantizeError(f"{path}: its images differ in size ({'; '.join(listed)}{more}) and the recipe "
                                f"{self._recipe.name} keeps that; choose one that gives one size: {fitting}")


def makes_one_size(recipe: Recipe) -> bool:
    """Whether the recipe gives the same size for all images: tried on a wide and on a tall one."""
    if recipe.fit is not None:
        return True
    wide, tall = np.zeros((320, 480, 3), np.uint8), np.zeros((480, 320, 3), np.uint8)
    return recipe.apply(wide).shape == recipe.apply(tall).shape


def _fault(file: Path) -> str:
    try:
        load_image(file)
    except ImageError as error:
        return str(error)
    return f"{file}: cannot be read"
