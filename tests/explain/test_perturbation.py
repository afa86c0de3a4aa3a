"""Explanations that no gradient makes: by hand, against captum, against slow references."""

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from torch import nn

from helpers.examples import TinyNet, example
from sib.explain import attribute, cost_notes, get_method
from sib.explain.call import Options
from sib.explain.occlusion import passes


class Linear(nn.Module):
    """z_t = Σ_cij w_tcij x_cij, counting the images that pass."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.seen = nn.Parameter(weight), 0

    def forward(self, images):
        self.seen += len(images)
        return torch.einsum("tchw,bchw->bt", self.weight, images)


def test_occlusion_by_hand():
    """Windows of one pixel on a linear model cost exactly w x; two pixels, the mean of sums."""
    weight = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]], [[[0.0, 0.0, 0.0, 0.0]]]])
    images = torch.tensor([[[[10.0, -1.0, 1.0, 1.0]]]])
    one = attribute(Linear(weight), images, 0, "occlusion", window=0.25, stride=0.25)
    assert one.tolist() == [[[10.0, -2.0, 3.0, 4.0]]]
    two = attribute(Linear(weight), images, 0, "occlusion", window=0.5, stride=0.25)
    assert two.tolist() == [[[8.0, (8 + 1) / 2, (1 + 7) / 2, 7.0]]]
    from_one = attribute(
        Linear(weight), images, 0, "occlusion", window=0.25, stride=0.25, baseline=1
    )
    assert from_one.tolist() == [[[9.0, -4.0, 0.0, 0.0]]]


def slow_occlusion(model, image, target, window, stride, baseline):
    """One window at a time, in float64, written from the definition."""
    height, width = image.shape[1:]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    whole = model(image[None])[0, target].item()
    top = 0
    while True:
        left = 0
        while True:
            covered = image.clone()
            covered[:, top : top + window[0], left : left + window[1]] = baseline
            cost = whole - model(covered[None])[0, target].item()
            total[top : top + window[0], left : left + window[1]] += cost
            count[top : top + window[0], left : left + window[1]] += 1
            if left + window[1] >= width:
                break
            left += stride[1]
        if top + window[0] >= height:
            break
        top += stride[0]
    return total / count


@pytest.mark.parametrize("size", [(16, 24), (10, 7)])
def test_occlusion_equals_a_slow_reference(size):
    model, images = TinyNet().eval().double(), torch.randn(2, 3, *size, dtype=torch.float64)
    found = attribute(model, images, [1, 2], "occlusion", window=0.3, stride=0.2, baseline=0.5)
    window, stride = ([round(share * side) for side in size] for share in (0.3, 0.2))
    with torch.no_grad():
        expected = [
            slow_occlusion(model, image, target, window, stride, 0.5)
            for image, target in zip(images, (1, 2), strict=True)
        ]
    torch.testing.assert_close(
        found.double(), torch.tensor(np.stack(expected)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["resnet18", pytest.param("vit_b_32", marks=pytest.mark.torture)])
def test_occlusion_equals_captums(name):
    model, images, targets = example(name)
    side = images.shape[2] // 4
    theirs = Occlusion(model).attribute(
        images, (3, side, side), strides=(3, side // 2, side // 2), target=targets
    )
    found = attribute(model, images, targets, "occlusion", chunk_size=13)
    torch.testing.assert_close(found, theirs[:, 0], rtol=1e-3, atol=1e-5)


def slow_rise(model, images, targets, n_masks, seed):
    """One mask and one image at a time, in float64; the enlargement written out."""
    height, width = images.shape[2:]
    down, across = -(-height // 7), -(-width // 7)
    generator = torch.Generator().manual_seed(seed)
    grids = torch.rand((n_masks, 1, 7, 7), generator=generator) < 0.5
    tops = torch.randint(down, (n_masks,), generator=generator).tolist()
    lefts = torch.randint(across, (n_masks,), generator=generator).tolist()
    maps = np.zeros((len(images), height, width))
    for grid, top, left in zip(grids[:, 0].double().numpy(), tops, lefts, strict=True):
        rows = interpolation(8 * down)[top : top + height]
        columns = interpolation(8 * across)[left : left + width]
        mask = rows @ grid @ columns.T
        for index, (image, target) in enumerate(zip(images, targets, strict=True)):
            p = model((image * torch.tensor(mask))[None]).softmax(dim=1)[0, target].item()
            maps[index] += p * mask / (n_masks * 0.5)
    return maps


def interpolation(length):
    """(length, 7) matrix that enlarges seven values bilinearly, borders repeated."""
    matrix = np.zeros((length, 7))
    for pixel in range(length):
        place = min(max((pixel + 0.5) * 7 / length - 0.5, 0), 6)
        low = min(int(place), 5)
        matrix[pixel, low] += 1 - (place - low)
        matrix[pixel, low + 1] += place - low
    return matrix


@pytest.mark.parametrize("size", [(14, 23), (8, 8)])
def test_rise_equals_a_slow_reference(size):
    model, images = TinyNet().eval().double(), torch.randn(2, 3, *size, dtype=torch.float64)
    found = attribute(model, images, [1, 2], "rise", n_masks=25, seed=3, chunk_size=4)
    with torch.no_grad():
        expected = slow_rise(model, images, [1, 2], 25, 3)
    torch.testing.assert_close(found.double(), torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_rise_of_a_model_that_ignores_the_image_by_hand():
    """p = 1/2 whatever is shown, so the map is half the mean mask over p: 1/2 on average."""
    images = torch.randn(1, 3, 28, 28)
    found = attribute(Linear(torch.zeros(2, 3, 28, 28)), images, 0, "rise", n_masks=2000)
    assert abs(found.mean().item() - 0.5) < 0.01
    assert found.std() < 0.02


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_the_map_falls_on_the_pixels_that_decide(method):
    weight = torch.zeros(2, 4, 32, 24)
    weight[1, :, 4:10, 12:18] = 1
    found = attribute(Linear(weight), torch.ones(1, 4, 32, 24) / 50, 1, method, n_masks=2000)[0]
    row, column = divmod(found.argmax().item(), 24)
    assert 3 <= row <= 10 and 11 <= column <= 18
    other = attribute(Linear(weight), torch.ones(1, 4, 32, 24) / 50, 0, method, n_masks=2000)[0]
    assert other[4:10, 12:18].mean() <= found[4:10, 12:18].mean()


@pytest.mark.parametrize("method", ["occlusion", "rise"])
@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_chunks_change_nothing(method, chunk_size):
    model, images = TinyNet().eval(), torch.randn(3, 3, 16, 16)
    expected = attribute(model, images, 1, method, n_masks=40)
    found = attribute(model, images, 1, method, n_masks=40, chunk_size=chunk_size)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_rise_follows_its_seed():
    model, images = TinyNet().eval(), torch.randn(1, 3, 16, 16)
    first, again, other = (
        attribute(model, images, 1, "rise", n_masks=9, seed=s) for s in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("method", ["occlusion", "rise"])
@pytest.mark.parametrize("size", [(32, 32), (32, 48), (17, 5)])
def test_the_announced_cost_is_the_number_of_forward_passes(method, size):
    """Both run one further pass of the images, for the predicted class."""
    model = Linear(torch.randn(3, 3, *size))
    attribute(model, torch.randn(2, 3, *size), method=method, n_masks=11)
    cost = get_method(method).cost(size, Options(n_masks=11))
    assert model.seen == 2 * (cost + 1)


def test_cost_notes():
    notes = cost_notes(["saliency", "occlusion", "rise"], (224, 224), n_masks=4000)
    assert notes == [
        "occlusion: 50 forward passes per image",
        "rise: 4000 forward passes per image",
    ]
    assert passes(Options(window=1, stride=1), (9, 9)) == 2


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_a_model_without_gradients_is_explained_by_passes_alone(method):
    class Steps(nn.Module):
        def forward(self, images):
            bright = (images > 0).flatten(1).float().mean(dim=1)
            return torch.stack([bright, -bright], dim=1)

    images = torch.ones(2, 1, 14, 14)
    assert attribute(Steps(), images, 0, method, n_masks=50).amax() > 0
    with pytest.raises(ValueError, match="differentiable at the images"):
        attribute(Steps(), images, 0, "integrated_gradients")
