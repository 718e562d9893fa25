"""The photographs of a folder, looked at before any work and decoded one at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.vision import ImageError, Recipe, load_image, recipes

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")

_LISTED = 5  # names in a message before "and N more"


class Folder:
    """The images of a folder and the folders in it, in the order of their paths.

    Raises:
        QuantizeError: no folder, no images in it, headers that no image has, or several sizes that the recipe keeps.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        if not path.is_dir():
            raise QuantizeError(f"{path}: is not a folder; give a folder of photographs, or an .npz file")
        self._recipe = recipe
        self.files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not self.files:
            found = sum(1 for file in path.rglob("*") if file.is_file())
            raise QuantizeError(f"{path}: holds no image among {found} files; put JPEG, PNG or BMP photographs there")
        self.names = [str(file) for file in self.files]
        self._check_headers(path)

    def images(self) -> Iterator[NDArray[Any]]:
        """Each image through the recipe, float32 [1, C, H, W]."""
        for file in self.files:
            yield self._recipe.apply(load_image(file))

    def _check_headers(self, path: Path) -> None:
        sizes: dict[tuple[int, int], Path] = {}
        faults = []
        for file in self.files:
            try:
                with Image.open(file) as image:
                    sizes.setdefault(image.size, file)
            except Exception:  # Pillow's decoders raise of everything; load_image says what it is
                faults.append(_fault(file))
        if faults:
            raise QuantizeError(f"{path}: {len(faults)} of {len(self.files)} images cannot be read:\n  "
                                + "\n  ".join(faults) + "\nremove or replace them")
        if len(sizes) > 1 and not makes_one_size(self._recipe):
            listed = [f"{file} is {width}x{height}" for (width, height), file in list(sizes.items())[:_LISTED]]
            more = f" and {len(sizes) - _LISTED} more sizes" if len(sizes) > _LISTED else ""
            fitting = ", ".join(recipe.name for recipe in recipes() if makes_one_size(recipe))
            raise QuantizeError(f"{path}: its images differ in size ({'; '.join(listed)}{more}) and the recipe "
                                f"{self._recipe.name} keeps that; choose one that makes one size: {fitting}")


def makes_one_size(recipe: Recipe) -> bool:
    """Whether images of every size and aspect ratio come out in one size: tried on a wide and on a tall one."""
    wide, tall = np.zeros((320, 480, 3), np.uint8), np.zeros((480, 320, 3), np.uint8)
    return recipe.apply(wide).shape == recipe.apply(tall).shape


def _fault(file: Path) -> str:
    try:
        load_image(file)
    except ImageError as error:
        return str(error)
    return f"{file}: cannot be read"
