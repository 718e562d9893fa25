"""Decoding of JPEG, PNG and BMP files into RGB pixels."""

import io
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from arrayloom.host.vision.errors import ImageError

ImageSource = str | os.PathLike[str] | bytes
Pixels = NDArray[np.uint8]

MAX_PIXELS = 1 << 26
"""Largest image accepted or produced by resizing, in pixels: 192 MiB as RGB."""

MAX_SCANS, MAX_SEGMENTS = 100, 10_000
"""Most scans of a JPEG. Encoders write about a dozen into a progressive one, and each takes as long to decode as a whole
picture."""

SIGNATURES = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "BMP": b"BM"}
"""The accepted formats, each with the first bytes of its files."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
"""Suffixes of the files, in lower case."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd8]", re.DOTALL)      # markers outside compressed data
_SCAN, _END = 0xDA, 0xD9
_LYING = (5, 6, 7, 8)   # EXIF orientations of pictures stored rotated by 90 degrees

# Exceptions of Pillow's decoders for malformed data, in addition to UnidentifiedImageError and the decompression bomb check.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, struct.error)


def load_image(source: ImageSource) -> Pixels:
    """Decode an image.

    Parameters: `source`, the path of a JPEG, PNG or BMP file, or the encoded bytes of one.
    Returns: uint8 [H, W, 3] in RGB order, upright (the EXIF orientation is applied). Grey becomes three equal
    channels; 16-bit samples keep their upper 8 bits.
    Raises: `ImageError` for a file that cannot be read, another format, damaged or truncated data, transparent
    pixels, and more than `MAX_PIXELS` pixels.
    """
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), f"image of {len(source)} bytes")
    name = os.fspath(source)
    try:
        with Path(name).open("rb") as file:
            return _decode(file, name)
    except (OSError, ValueError) as error:  # ValueError: the path holds a NUL or cannot be encoded
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{name}: cannot be read ({reason}); check the path and its permissions") from error


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder and its subfolders, in the order of their paths.

    Raises `ImageError` if there is none.
    """
    files = [file for file in folder.rglob("*") if file.is_file()]
    found = sorted(file for file in files if file.suffix.lower() in SUFFIXES)
    if not found:
        raise ImageError(f"{folder}: holds no image among {len(files)} files; put JPEG, PNG or BMP photographs there")
    return found


def image_size(source: ImageSource) -> tuple[int, int]:
    """Height and width of `load_image`'s result, from the header alone; raises `ImageError` for an invalid header."""
    name = f"image of {len(source)} bytes" if isinstance(source, bytes) else os.fspath(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(name).open("rb") as file:
            head = file.read(8)
            file.seek(0)
            with _explained(name, head), Image.open(file, formats=tuple(SIGNATURES)) as image:
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _LYING
                return (image.width, image.height) if turned else (image.height, image.width)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{name}: cannot be read ({reason}); check the path and its permissions") from error


def _decode(file: BinaryIO, name: str) -> Pixels:
    head = file.read(8)
    _check_scans(file, head, name)
    file.seek(0)
    with _explained(name, head), Image.open(file, formats=tuple(SIGNATURES)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(name, f"{image.width} x {image.height}")
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image), name)


def _check_scans(file: BinaryIO, head: bytes, name: str) -> None:
    """Limits the scans of a JPEG before anything is decompressed, since the decoder processes all of them in one call."""
    if not head.startswith(SIGNATURES["JPEG"]):
        return
    file.seek(0)
    scans, segments = _scans(file.read())
    if scans > MAX_SCANS or segments > MAX_SEGMENTS:
        found = f"more than {MAX_SCANS} scans" if scans > MAX_SCANS else f"more than {MAX_SEGMENTS} segments"
        raise ImageError(f"{name}: {found}, which no picture has; save it again, as a baseline JPEG")


def _scans(data: bytes) -> tuple[int, int]:
    """The number of scans and segments of a JPEG, counted until either is too large."""
    position, scans, segments = 2, 0, 0
    while scans <= MAX_SCANS and segments <= MAX_SEGMENTS and (found := _MARKER.search(data, position)):
        kind, position = data[found.end() - 1], found.end()
        if kind == _END:
            break
        segments += 1
        scans += kind == _SCAN
        position += int.from_bytes(data[position:position + 2], "big")
    return scans, segments


@contextmanager
def _explained(name: str, head: bytes) -> Iterator[None]:
    """Convert Pillow's exceptions to an `ImageError` that names the file, the reason and the remedy."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "its") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {_unidentified(head)}") from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name}: damaged or truncated image ({error}); obtain the file again") from error


def _too_large(name: str, size: str) -> ImageError:
    return ImageError(f"{name}: {size} pixels are more than the {MAX_PIXELS:,} accepted; scale the image down first")


def _unidentified(head: bytes) -> str:
    if not head:
        return "is empty; give a JPEG, PNG or BMP image"
    for image_format, signature in SIGNATURES.items():
        if head.startswith(signature):
            return f"begins as a {image_format}, but its header is damaged or truncated; obtain the file again"
    return f"is not a JPEG, PNG or BMP (it begins with the bytes {head[:4].hex(' ')}); convert it to one of these"


def _to_rgb(image: Image.Image, name: str) -> Pixels:
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ImageError(f"{name}: has transparent pixels, whose colour is open; flatten it onto a background first")
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit grey to 255 here, although it keeps the upper byte of 16-bit colour.
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    return np.array(image.convert("RGB"))
