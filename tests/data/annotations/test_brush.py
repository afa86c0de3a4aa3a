"""Brush strokes of Label Studio, as packed run lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.annotated import pack_brush
from sib.data.readers.annotations.brush import read_brush
from sib.data.shapes import draw_runs
from sib.utils.errors import InputError


def mask_of(rle, size):
    return draw_runs(read_brush(rle, size, "a.json"), size).numpy()


def test_by_hand():
    """1 × 2 pixels: one that is clear and one that is red and opaque.

    Eight values of eight bits, lengths of 2 bits each; four times 0, then as they are 255 0 0 255.
    """
    bits = f"{8:032b}" + "00111" + "0001" * 4
    bits += "1" + "00" + "11" + "00000000"
    bits += "0" + "00" + "11" + "11111111" + "00000000" * 2 + "11111111"
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert mask_of(rle, (1, 2)).tolist() == [[False, True]]


@given(st.data())
def test_every_picture_is_read_back(data):
    height, width = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    count = 4 * height * width
    values = data.draw(
        st.lists(st.sampled_from([0, 127, 128, 255]), min_size=count, max_size=count)
    )
    longest = data.draw(st.integers(1, 9))
    found = mask_of(pack_brush(values, longest), (height, width))
    assert np.array_equal(found, np.array(values).reshape(height, width, 4)[:, :, 3] >= 128)


@pytest.mark.parametrize(
    ("rle", "sentence"),
    [
        (pack_brush([0] * 8)[:-1], "is cut off"),
        (pack_brush([0] * 4), "4 values of 8 bits for each of the 2 × 1 pixels; got 4 of 8"),
        ([0, 0, 0, 8, 0xF8, 0, 0, 0], "got 8 of 32"),
        ([0, 0, 0, 8, 0x38, 0, 0, 0, 0], "is cut off"),
        ([0, 0, 0, 8, 0x39, 0x99, 0x99, 0xFF], "holds more than its 8 values"),
        ([256], "numbers from 0 to 255"),
        (["a"], "numbers from 0 to 255"),
        ("text", "numbers from 0 to 255"),
        ([], "is cut off"),
    ],
)
def test_damaged_strokes_are_refused(rle, sentence):
    with pytest.raises(InputError, match="a.json: .*" + sentence):
        read_brush(rle, (1, 2), "a.json")


def test_a_size_beyond_the_limit_is_refused_before_anything_is_decoded():
    with pytest.raises(InputError, match="at most 134217728 pixels"):
        read_brush(pack_brush([0] * 4), (10**6, 10**6), "a.json")


def test_a_stroke_has_as_many_runs_as_it_has_along_the_rows():
    """Along the columns there would be one for each pixel, which a small file can claim."""
    rows = np.zeros((16, 256), dtype=int)
    rows[::2] = 255
    runs = read_brush(pack_brush(np.repeat(rows.ravel(), 4).tolist(), 2**16), (16, 256), "a.json")
    assert runs.counts == (0, *[256] * 16)
    assert np.array_equal(draw_runs(runs, (16, 256)).numpy(), rows > 0)


def test_a_large_picture_of_one_value_takes_one_run():
    """2^27 pixels in 28 kilobytes."""
    size = (2**13, 2**14)
    bits = f"{4 * size[0] * size[1]:032b}" + "00111" + "0000" * 3 + "1111"
    bits += ("1" + "11" + "1" * 16 + "0" * 8) * (4 * size[0] * size[1] // 2**16)
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert read_brush(rle, size, "a.json").counts == (size[0] * size[1],)
