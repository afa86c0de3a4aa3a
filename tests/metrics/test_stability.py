"""Stability: by hand, against Quantus, decisions that change, what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.quantus import quiet_quantus
from sib.explain import attribute
from sib.metrics import local_lipschitz, map_changes, map_sensitivity
from sib.metrics.stability import small_change


class Square(nn.Module):
    """Logits Σ x² and −Σ x², whose input × gradient is 2 x² and always decides for the first."""

    def forward(self, images):
        total = images.square().sum(dim=(1, 2, 3))
        return torch.stack([total, -total], dim=1)


def case(count=5):
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(1, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 36, 4)).eval()
    return net, torch.randn(count, 1, 8, 8)


def test_by_hand():
    """One pixel beside a larger one: the scaled map is (1, (x₁/x₀)²)."""
    images = torch.tensor([[[[2.0, 1.0]]]])
    options = {"radius": 0.1, "samples": 3, "seed": 7}
    changes = map_changes(Square(), images, method="input_x_gradient", **options)
    generator = torch.Generator().manual_seed(7)
    for sample in range(3):
        drawn = 0.1 * 1.0 * (2 * torch.rand(1, 1, 2, generator=generator) - 1).double().flatten()
        moved = torch.tensor([2.0, 1.0]).double() + drawn
        after = moved.square() / moved.square().max()
        expected = (after - torch.tensor([1.0, 0.25]).double()).norm()
        assert changes.maps[sample].item() == pytest.approx(expected.item(), abs=1e-6)
        assert changes.images[sample].item() == pytest.approx(drawn.norm().item(), abs=1e-6)
    assert changes.size.item() == pytest.approx((1 + 0.25**2) ** 0.5)
    found = map_sensitivity(Square(), images, method="input_x_gradient", **options)
    assert found.item() == pytest.approx((changes.maps.max() / changes.size).item(), abs=1e-6)
    found = local_lipschitz(Square(), images, method="input_x_gradient", **options)
    assert found.item() == pytest.approx((changes.maps / changes.images).max().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("MaxSensitivity", map_sensitivity, {"reduction": "max"}),
        ("AvgSensitivity", map_sensitivity, {"reduction": "mean"}),
        ("LocalLipschitzEstimate", local_lipschitz, {}),
    ],
)
@pytest.mark.parametrize("normalize", ["none", "max"])
@pytest.mark.parametrize("radius", [0.02, 0.3])
def test_equals_quantus(name, function, options, radius, normalize):
    """Given the same changes and maps; changes that turn the decision are NaN there, too.

    The maps are scaled one by one before Quantus sees them: it would scale them as a batch.
    """
    net, images = case()
    with quiet_quantus() as quantus:
        targets = net(images).argmax(dim=1)
        generator = torch.Generator().manual_seed(0)

        def explain(model, inputs, targets, **_):
            tensors = (torch.as_tensor(x) for x in (inputs, targets))
            maps = attribute(model, *tensors, method="saliency", normalize=normalize)
            return maps[:, None].numpy()

        def perturb(arr, **_):
            return (images + small_change(images, radius, generator)).numpy().reshape(arr.shape)

        metric = getattr(quantus, name)(
            nr_samples=6, perturb_func=perturb, disable_warnings=True, normalise=False,
            return_nan_when_prediction_changes=True,
        )  # fmt: skip
        metric.max_func, metric.mean_func = np.nanmax, np.nanmean
        theirs = metric(
            model=net,
            x_batch=images.numpy(),
            y_batch=targets.numpy(),
            explain_func=explain,
            device="cpu",
        )
    ours = function(
        net,
        images,
        targets,
        "saliency",
        radius=radius,
        samples=6,
        seed=0,
        normalize=normalize,
        **options,
    )
    theirs = torch.tensor(np.array(theirs, dtype=float))
    torch.testing.assert_close(ours.double(), theirs, equal_nan=True, rtol=1e-4, atol=1e-5)
    assert ours.nan_to_num().unique().numel() > 2


def test_changes_that_turn_the_decision_do_not_count():
    """The first class where the mean is above zero; the image lies just above."""

    class Sign(nn.Module):
        def forward(self, images):
            mean = images.mean(dim=(1, 2, 3))
            return torch.stack([mean, -mean], dim=1) * images.abs().amax(dim=(1, 2, 3))[:, None]

    images = torch.randn(2, 1, 4, 4)
    images = images - images.mean(dim=(2, 3), keepdim=True)
    images[0] += 1e-6
    images[1] += 1.0
    changes = map_changes(Sign(), images, method="saliency", radius=0.05, samples=40)
    turned = changes.maps.isnan()
    assert 5 < turned[:, 0].sum() < 35 and not turned[:, 1].any()
    never = images[:1].clone()
    never[...] = 0.0
    never[0, 0, 0, 0] = 1e-3
    assert map_sensitivity(Sign(), never, method="saliency").shape == (1,)


def test_where_every_change_turns_the_decision_there_is_no_value():
    class Exact(nn.Module):
        """The first class for one image exactly, the second for all others."""

        def forward(self, images):
            same = (images == 1).flatten(1)[:, 0].float() + 0 * images.sum(dim=(1, 2, 3))
            return torch.stack([same, 0.5 + images.mean(dim=(1, 2, 3)) * 1e-3], dim=1)

    images = torch.tensor([[[[1.0, 0.0]]]])
    for function in (map_sensitivity, local_lipschitz):
        assert function(Exact(), images, 1, method="saliency").isnan().all()


def test_zero_maps_have_no_value():
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    nn.init.zeros_(net[1].weight)
    for function in (map_sensitivity, local_lipschitz):
        assert function(net, torch.randn(2, 1, 3, 3), method="saliency").isnan().all()


@pytest.mark.parametrize("function", [map_sensitivity, local_lipschitz])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"radius": 0}, "radius must be a finite number above 0; got 0"),
        ({"samples": 0}, "samples must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"method": "none"}, "method must be one of saliency"),
        ({"images": torch.ones(2, 2)}, "images must be a non-empty"),
    ],
)
def test_bad_input(function, arguments, sentence):
    net, images = case()
    with pytest.raises(ValueError, match=sentence):
        function(net, **{"images": images, **arguments})


def test_bad_reduction():
    with pytest.raises(ValueError, match="reduction must be one of max, mean; got 'median'"):
        map_sensitivity(*case(), reduction="median")
