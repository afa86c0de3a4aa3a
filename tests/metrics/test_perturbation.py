"""Insertion and deletion, by hand and against a loop over single images."""

import math

import pytest
import torch
from torch import nn

from helpers.quantus import quiet_quantus
from sib.metrics import deletion_area, insertion_area, perturbation_curve


class FirstPixel(nn.Module):
    """Two classes; the first one's logit is the first pixel's first channel."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], torch.zeros(len(x))], dim=1)


IMAGES = torch.tensor([[[[3.0, 1.0], [-3.0, -1.0]]]])  # mean colour 0
HIT, MISS = torch.tensor([[[9.0, 1.0], [2.0, 3.0]]]), torch.tensor([[[-9.0, 1.0], [2.0, 3.0]]])
HIGH, LOW = 1 / (1 + math.exp(-3)), 0.5


def test_curves_by_hand():
    """The first pixel alone decides: it changes at the first step or at the last of four."""

    def curve(attribution, direction):
        options = {"direction": direction, "steps": 4, "baseline": "mean"}
        return perturbation_curve(FirstPixel(), IMAGES, attribution, 0, **options)[0].tolist()

    assert curve(HIT, "deletion") == pytest.approx([HIGH, LOW, LOW, LOW, LOW])
    assert curve(HIT, "insertion") == pytest.approx([LOW, HIGH, HIGH, HIGH, HIGH])
    assert curve(MISS, "deletion") == pytest.approx([HIGH, HIGH, HIGH, HIGH, LOW])
    assert curve(MISS, "insertion") == pytest.approx([LOW, LOW, LOW, LOW, HIGH])


def test_areas_by_hand():
    """Trapezoids of width 1/4."""
    options = {"steps": 4, "baseline": "mean"}
    found = deletion_area(FirstPixel(), IMAGES, HIT, 0, **options).item()
    assert found == pytest.approx((HIGH + LOW) / 8 + 3 * LOW / 4)
    found = insertion_area(FirstPixel(), IMAGES, HIT, 0, **options).item()
    assert found == pytest.approx((HIGH + LOW) / 8 + 3 * HIGH / 4)
    found = insertion_area(FirstPixel(), IMAGES, HIT, 1, **options).item()
    assert found == pytest.approx(1 - (HIGH + LOW) / 8 - 3 * HIGH / 4)


@pytest.fixture
def net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5)
    )


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_equals_a_loop_over_single_images(net, batch_size):
    images, maps = torch.randn(3, 3, 10, 10), torch.randn(3, 10, 10)
    net.eval()
    with torch.no_grad():
        targets = net(images).argmax(dim=1).tolist()
        expected = []
        for image, one, target in zip(images, maps, targets, strict=True):
            order = one.flatten().argsort(descending=True)
            colour = image.mean(dim=(1, 2))
            for count in (0, 33, 67, 100):
                changed = image.flatten(1).clone()
                changed[:, order[:count]] = colour[:, None]
                probability = net(changed.view(1, 3, 10, 10)).softmax(dim=1)[0, target]
                expected.append(probability)
    found = perturbation_curve(
        net, images, maps, None, "deletion", 3, "mean", batch_size=batch_size
    )
    torch.testing.assert_close(found.flatten(), torch.stack(expected))


def test_blur_hides_a_pattern_and_keeps_a_plain_image():
    lines = torch.zeros(1, 1, 30, 30)
    lines[..., ::2] = 1.0

    class Contrast(nn.Module):
        def forward(self, x):
            return torch.stack([x.std(dim=(1, 2, 3)), x.mean(dim=(1, 2, 3))], dim=1)

    def ends(images):
        maps = torch.rand(1, 30, 30)
        curve = perturbation_curve(Contrast(), images, maps, 0, "insertion", 1, "blur")
        return curve[0].logit()

    blurred, sharp = ends(lines)
    assert blurred.item() == pytest.approx(0.0 - 0.5, abs=0.02) and sharp > blurred + 0.45
    torch.testing.assert_close(*ends(torch.full((1, 1, 30, 30), 0.7)), rtol=0, atol=1e-5)


def test_ties_do_not_follow_the_rows():
    """With a map of ones, half of the pixels is spread over the upper and the lower half."""
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return torch.zeros(len(x), 2)

    images = torch.zeros(1, 1, 10, 10)
    images[..., 0, 0] = 100.0  # mean colour 1: changed pixels differ from the others
    perturbation_curve(Spy(), images, torch.ones(1, 10, 10), 0, "deletion", 2, "mean")
    upper, lower = (seen[-1][1, 0, rows].eq(1).sum().item() for rows in (slice(5), slice(5, 10)))
    assert upper + lower == 50 and min(upper, lower) > 15


def test_zero_maps_are_not_scored_and_negative_ones_are():
    images, maps = IMAGES.repeat(3, 1, 1, 1), torch.cat([HIT, 0 * HIT, -HIT])
    found = deletion_area(FirstPixel(), images, maps, 0)
    assert found.isnan().tolist() == [False, True, False]


def test_the_model_is_left_as_found(net):
    net.train()
    before = [buffer.clone() for buffer in net.buffers()]
    insertion_area(net, torch.randn(2, 3, 10, 10), torch.randn(2, 10, 10))
    assert all(module.training for module in net.modules())
    assert all(torch.equal(a, b) for a, b in zip(before, net.buffers(), strict=True))


@pytest.mark.parametrize("measure", [insertion_area, deletion_area])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1; got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"baseline": "zero"}, "baseline must be one of blur, mean; got 'zero'"),
        ({"targets": [5]}, "targets must be from 0 to 1"),
        ({"attribution": torch.ones(1, 2, 3)}, "attribution must have shape"),
        ({"attribution": torch.ones(2, 2)}, "attribution must be a non-empty"),
        ({"images": torch.ones(2, 2)}, "images must be a non-empty"),
    ],
)
def test_bad_input(measure, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        measure(FirstPixel(), **{"images": IMAGES, "attribution": HIT, **arguments})


def test_bad_direction():
    with pytest.raises(ValueError, match="direction must be one of insertion, deletion"):
        perturbation_curve(FirstPixel(), IMAGES, HIT, direction="both")


def test_deletion_equals_quantus():
    """PixelFlipping removes the pixels of one channel, four at a time; the mean colour is 0."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    images, maps = torch.randn(6, 1, 8, 8), torch.randn(6, 8, 8)
    images -= images.mean(dim=(2, 3), keepdim=True)
    targets = net(images).argmax(dim=1)
    ours = perturbation_curve(net, images, maps, targets, steps=16, baseline="mean")
    with quiet_quantus() as quantus:
        metric = quantus.PixelFlipping(
            features_in_step=4, perturb_baseline=0.0, normalise=False, disable_warnings=True
        )
        theirs = metric(
            model=net,
            x_batch=images.numpy(),
            y_batch=targets.numpy(),
            a_batch=maps[:, None].numpy().copy(),
            softmax=True,
            device="cpu",
        )
    torch.testing.assert_close(ours[:, 1:].float(), torch.tensor(theirs).float())
    assert ours[:, 1:].std() > 0.01
