"""ROAD: by hand, against single images, against Quantus, what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.quantus import quiet_quantus
from sib.metrics import impute, road_curve, road_least_relevant, road_most_relevant


class Bright(nn.Module):
    """The second class where the first pixel is above one half."""

    def forward(self, x):
        value = x[:, 0, 0, 0]
        return torch.stack([0.5 - value, value - 0.5], dim=1)


IMAGE = torch.zeros(1, 1, 4, 4)
IMAGE[..., 0, 0] = 1.0
HIT = torch.zeros(1, 4, 4)
HIT[0, 0, 0] = 1.0


def test_by_hand():
    """The first pixel decides; its neighbours are 0, and so is what fills its place."""
    curve = road_curve(Bright(), IMAGE, HIT, percentages=(5, 10, 50), noise=0.0)
    assert curve.tolist() == [[1, 0, 0]]  # 5 % of 16 pixels is none
    least = road_curve(Bright(), IMAGE, HIT, order="least", percentages=(5, 10, 90), noise=0.0)
    assert least.tolist() == [[1, 1, 1]]
    assert road_most_relevant(Bright(), IMAGE, HIT, percentages=(5, 10, 50)).item() == (
        pytest.approx(1 / 3)
    )
    assert road_least_relevant(Bright(), IMAGE, HIT).item() == 1
    assert road_most_relevant(Bright(), IMAGE, HIT, 0).item() > 0.9  # for the other class


def case(channels=3, count=6):
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(channels, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 49, 4)
    ).eval()
    return net, torch.randn(count, channels, 9, 9), torch.randn(count, 9, 9)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("order", ["most", "least"])
def test_equals_a_loop_over_single_images(batch_size, order):
    net, images, maps = case()
    found = road_curve(
        net, images, maps, order=order, percentages=(20, 60), noise=0.1, seed=4,
        batch_size=batch_size,
    )  # fmt: skip
    noise = 0.1 * torch.randn(
        3, 9, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    with torch.no_grad():
        for image, one, row in zip(images, maps, found, strict=True):
            target = int(net(image[None]).argmax())
            ranked = one.flatten().argsort(descending=order == "most")
            for value, count in zip(row.tolist(), (16, 48), strict=True):
                removed = torch.zeros(81, dtype=torch.bool)
                removed[ranked[:count]] = True
                removed = removed.view(1, 1, 9, 9)
                filled = impute(image[None].double(), removed)
                filled = torch.where(removed, filled + noise, filled).float()
                assert value == float(net(filled).argmax() == target)
    assert 0 < found.mean() < 1


def test_equals_quantus():
    """Of one channel, where Quantus removes whole pixels; without noise."""
    net, images, maps = case(channels=1, count=10)
    percentages = [5, 25, 50, 75, 95]
    labels = net(images).argmax(dim=1)
    ours = road_curve(net, images, maps, labels, percentages=percentages, noise=0.0)
    with quiet_quantus() as quantus:
        metric = quantus.ROAD(
            percentages=percentages, noise=0.0, normalise=False, disable_warnings=True
        )
        theirs = metric(
            model=net,
            x_batch=images.numpy(),
            y_batch=labels.numpy(),
            a_batch=maps[:, None].numpy().copy(),
            device="cpu",
        )
    assert ours.mean(dim=0).tolist() == pytest.approx([theirs[p] for p in percentages])
    assert ours.mean(dim=0).unique().numel() > 2 and np.isfinite(list(theirs.values())).all()


def test_zero_maps_are_not_scored():
    net, images, maps = case()
    maps[2] = 0
    for road in (road_most_relevant, road_least_relevant):
        values = road(net, images, maps)
        assert values.isnan().tolist() == [i == 2 for i in range(6)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"order": "both"}, "order must be one of most, least; got 'both'"),
        ({"percentages": ()}, r"percentages must lie between 0 and 100; got \(\)"),
        ({"percentages": (50, 100)}, r"percentages must lie between 0 and 100; got \(50, 100\)"),
        ({"noise": -1.0}, "noise must be a finite number of at least 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"targets": [7]}, "targets must be from 0 to 1"),
        ({"attribution": torch.ones(1, 3, 4)}, "attribution must have shape"),
    ],
)
def test_bad_input(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        road_curve(Bright(), **{"images": IMAGE, "attribution": HIT, **arguments})
