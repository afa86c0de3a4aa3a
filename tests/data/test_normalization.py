"""Bytes to floats, by hand."""

import pytest
import torch

from sib.data.normalization import normalise
from sib.utils.errors import InputError
from sib.utils.normalization import normalization_from


@pytest.mark.parametrize(
    ("normalization", "black", "white"),
    [
        ("half", (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        # −0.485 / 0.229, … and (1 − 0.485) / 0.229, …
        ("imagenet", (-2.117904, -2.035714, -1.804444), (2.248908, 2.428571, 2.64)),
    ],
)
def test_black_and_white(normalization, black, white):
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    found = normalise(images, torch.device("cpu"), normalization)
    assert found.dtype == torch.float32 and images[0, 0, 0, 0] == 0
    for image, expected in zip(found, (black, white), strict=True):
        torch.testing.assert_close(image[:, 0, 1], torch.tensor(expected))
        torch.testing.assert_close(image[:, 1, 0], torch.tensor(expected))


@pytest.mark.parametrize("text", ["127.5/127.5", "123.675,116.28,103.53/58.395,57.12,57.375"])
def test_numbers_of_images_in_0_to_255_are_refused(text):
    with pytest.raises(InputError, match="divide a mean and a deviation for images"):
        normalization_from(text)
