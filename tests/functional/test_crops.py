"""Random resized crops of images and of maps."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from sib.functional.crops import Crops, random_crops, resized_crops


def crops_of(start, size, flipped):
    both = (torch.tensor(each, dtype=torch.float64) for each in (start, size))
    return Crops(*both, torch.tensor(flipped))


def sampled(values, crops):
    """The same by torch's sampling on a grid, one image at a time."""
    height, width = values.shape[-2:]
    found = []
    for image, start, size, flipped in zip(values, *crops, strict=True):
        y = start[0] + size[0] * (torch.arange(height, dtype=torch.float64) + 0.5) / height
        x = start[1] + size[1] * (torch.arange(width, dtype=torch.float64) + 0.5) / width
        x = x.flip(0) if flipped else x
        grid = torch.stack(torch.meshgrid(2 * y - 1, 2 * x - 1, indexing="ij")[::-1], dim=-1)
        found.append(
            F.grid_sample(image[None], grid[None], padding_mode="border", align_corners=False)
        )
    return torch.cat(found)


def test_by_hand():
    """The right half of a row of four places, enlarged: points 1.75, 2.25, 2.75 and 3.25 → 3."""
    row = torch.tensor([[[[0.0, 1, 2, 5]]]]).double()
    right = crops_of([[0.0, 0.5]], [[1.0, 0.5]], [False])
    expected = [1.75, 2.75, 4.25, 5]
    assert resized_crops(row, right).flatten().tolist() == pytest.approx(expected)
    flipped = right._replace(flipped=torch.tensor([True]))
    assert resized_crops(row, flipped).flatten().tolist() == pytest.approx(expected[::-1])


def test_the_whole_image_stays_itself():
    images = torch.randn(2, 3, 5, 4).double()
    whole = crops_of([[0.0, 0.0]] * 2, [[1.0, 1.0]] * 2, [False, True])
    found = resized_crops(images, whole)
    assert torch.allclose(found[0], images[0]) and torch.allclose(found[1], images[1].flip(-1))


def test_crops_are_those_of_a_sampling_grid():
    torch.manual_seed(0)
    images = torch.randn(6, 3, 12, 9).double()
    crops = random_crops(images)
    crops = Crops(crops.start.double(), crops.size.double(), crops.flipped)
    assert torch.allclose(resized_crops(images, crops), sampled(images, crops), atol=1e-12)


def test_drawn_crops_lie_inside_the_image():
    torch.manual_seed(0)
    crops = random_crops(torch.empty(4000, 1, 6, 8))
    assert (crops.start >= 0).all() and (crops.start + crops.size <= 1 + 1e-6).all()
    area = crops.size.prod(dim=1)
    assert 0.079 < area.min() < 0.1 and area.max() > 0.97
    ratio = crops.size[:, 1] * 8 / (crops.size[:, 0] * 6)
    inside = (crops.size < 1).all(dim=1)
    assert 0.749 < ratio[inside].min() < 0.77 and 1.3 < ratio[inside].max() < 1.334
    assert 0.45 < crops.flipped.double().mean() < 0.55


def test_crops_of_an_image_do_not_depend_on_how_a_batch_is_split():
    images = torch.empty(7, 3, 8, 8)
    torch.manual_seed(0)
    whole = random_crops(images)
    torch.manual_seed(0)
    parts = [random_crops(part) for part in images.tensor_split(3)]
    for expected, found in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(found), expected)


def test_gradients():
    torch.manual_seed(0)
    values = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    crops = random_crops(values)
    assert gradcheck(lambda v: resized_crops(v, crops).square(), values)
    assert gradgradcheck(lambda v: resized_crops(v, crops).square(), values)


def test_half_precision_keeps_its_type():
    values = torch.rand(2, 1, 6, 6)
    crops = random_crops(values)
    found = resized_crops(values.half(), crops)
    assert found.dtype == torch.float16
    assert torch.allclose(found.float(), resized_crops(values, crops), atol=1e-3)
