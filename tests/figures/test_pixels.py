"""Maps over images as pixels."""

import torch

from sib.figures.pixels import overlay_pixels


def test_a_map_is_red_and_blue_if_it_is_signed_or_said_to_be():
    image, nothing = torch.full((3, 1, 2), 128, dtype=torch.uint8), torch.zeros(1, 1, 2).bool()
    positive, both = torch.tensor([[0.0, 1.0]]), torch.tensor([[-1.0, 1.0]])
    red, blue = (
        overlay_pixels(image, both, nothing)[0, 1],
        overlay_pixels(image, both, nothing)[0, 0],
    )
    assert red[0] > red[2] and blue[2] > blue[0]
    assert (overlay_pixels(image, positive, nothing, signed=True)[0, 1] == red).all()
    bright = overlay_pixels(image, positive, nothing)[0, 1]
    assert (bright != red).any() and bright.min() > 100
