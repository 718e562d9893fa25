"""Images made to take long are refused before decoding, and real ones are accepted."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from arrayloom.host.vision import ImageError, load_image


def _with_scans(count: int) -> bytes:
    """A progressive JPEG with its last scan repeated the given number of times."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (10, 200, 30)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def test_scans_of_a_jpeg_are_counted_before_it_is_decoded() -> None:
    assert load_image(_with_scans(0)).shape == load_image(_with_scans(80)).shape == (64, 64, 3)
    begin = time.perf_counter()
    with pytest.raises(ImageError, match="more than 100 scans"):
        load_image(_with_scans(100_000))
    with pytest.raises(ImageError, match="more than 10000 segments"):
        load_image(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 1_000_000)
    assert time.perf_counter() - begin < 2


def test_bytes_of_a_jpegs_segments_are_no_scans() -> None:
    """The metadata of a camera or a program may contain any bytes."""
    plain = _with_scans(0)
    noise = b"\xff\xda" * 30_000
    segment = b"\xff\xe5" + (len(noise) + 2).to_bytes(2, "big") + noise
    np.testing.assert_array_equal(load_image(plain[:2] + segment + plain[2:]), load_image(plain))
