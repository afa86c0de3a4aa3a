"""Class specificity: mosaics and maps of other classes, by hand and against single images."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers.quantus import quiet_quantus
from sib.explain import attribute
from sib.metrics import class_correlation, grid_pointing_game, make_mosaics, rank_correlation


class Colours(nn.Module):
    """One class a channel: the mean square of the channel, so its gradient lies on its colour."""

    def forward(self, images):
        return images.square().mean(dim=(2, 3))


def colours(count, classes=5, side=6):
    """Image i shows class i modulo the number of classes alone."""
    images = torch.zeros(count, classes, side, side)
    for i in range(count):
        images[i, i % classes] = torch.rand(side, side) + 0.5
    return images


@pytest.mark.parametrize("shrink", [False, True])
@pytest.mark.parametrize("cells", [2, 3])
def test_maps_that_know_the_class_stay_in_their_cell(cells, shrink):
    images = colours(9, classes=9)
    shares = grid_pointing_game(
        Colours(), images, method="input_x_gradient", cells=cells, shrink=shrink
    )
    # scaling down mixes the pixels at the edge of the cells
    assert (shares > (0.85 if shrink else 0.999)).all()


@pytest.mark.parametrize("cells", [2, 3])
def test_maps_that_do_not_know_it_have_chance(cells):
    """The gradient of a mean is the same at every pixel."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))
    shares = grid_pointing_game(
        net, torch.randn(10, 3, 6, 6), torch.arange(10), "saliency", cells=cells, shrink=False
    )
    torch.testing.assert_close(shares, torch.full((10,), 1 / cells**2))


def test_equals_single_mosaics():
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 6),
    )  # fmt: skip
    images, targets = torch.randn(7, 3, 8, 8), torch.tensor([0, 1, 2, 3, 4, 0, 5])
    mosaics = make_mosaics(images, targets, seed=2)
    for shrink in (False, True):
        found = grid_pointing_game(net, images, targets, "saliency", shrink=shrink, seed=2)
        for owner, mosaic, cell in zip(*(mosaics[k] for k in (1, 0, 2)), strict=True):
            shown = mosaic[None]
            if shrink:
                shown = F.interpolate(shown, (8, 8), mode="bilinear", antialias=True)
            map_ = attribute(net, shown, int(targets[owner]), "saliency")[0].double().clamp(min=0)
            half = map_.shape[0] // 2
            top, left = int(cell) // 2 * half, int(cell) % 2 * half
            expected = map_[top : top + half, left : left + half].sum() / map_.sum()
            assert found[owner].item() == pytest.approx(expected.item(), abs=1e-5)


@given(
    classes=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    cells=st.integers(1, 3),
    seed=st.integers(0, 50),
)
def test_mosaics_hold_distinct_classes_and_their_owner(classes, cells, seed):
    images = torch.arange(len(classes), dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 2, 3, 4)
    mosaics = make_mosaics(images, torch.tensor(classes), cells=cells, seed=seed)
    if len(set(classes)) < cells**2:
        assert mosaics.images.shape == (0, 2, 3 * cells, 4 * cells) and not len(mosaics.owners)
        return
    assert mosaics.owners.tolist() == list(range(len(classes)))
    for owner, mosaic, place in zip(
        mosaics.owners.tolist(), mosaics.images, mosaics.cells.tolist(), strict=True
    ):
        parts = mosaic.unflatten(1, (cells, 3)).unflatten(3, (cells, 4))
        assert (parts == parts[:, :, :1, :, :1]).all()  # each cell is one image
        rows = parts[0, :, 0, :, 0].flatten().int().tolist()
        assert rows[place] == owner
        assert len({classes[row] for row in rows}) == cells**2


def test_too_few_classes_have_no_value():
    images, targets = torch.randn(5, 3, 6, 6), torch.tensor([0, 1, 2, 0, 1])
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    assert grid_pointing_game(net, images, targets, "saliency").isnan().all()


def test_the_map_of_another_class():
    """Against two maps of single images; the other class by the logits."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    images = torch.randn(6, 3, 8, 8)
    logits = net(images)
    order = logits.argsort(dim=1, descending=True)
    for other, column in (("runner_up", 1), ("least_likely", 4)):
        found = class_correlation(net, images, method="input_x_gradient", other=other)
        for i in range(6):
            one = images[i : i + 1]
            first, second = (
                attribute(net, one, int(order[i, k]), "input_x_gradient") for k in (0, column)
            )
            assert found[i].item() == pytest.approx(
                rank_correlation(first, second).item(), abs=1e-4
            )
    # of a class that is not the decision, the runner-up is the decision
    found = class_correlation(net, images, order[:, 1], "input_x_gradient")
    expected = class_correlation(net, images, order[:, 0], "input_x_gradient")
    torch.testing.assert_close(found, expected)


def test_opposite_classes_by_hand():
    """Two classes with opposite logits: input × gradient changes its sign, saliency stays."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(27, 2, bias=False))
    with torch.no_grad():
        net[1].weight[1] = -net[1].weight[0]
    images = torch.randn(2, 3, 3, 3)
    found = class_correlation(net, images, method="input_x_gradient")
    torch.testing.assert_close(found, -torch.ones(2))
    torch.testing.assert_close(class_correlation(net, images, method="saliency"), torch.ones(2))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cells": 1}, "cells must be a whole number of at least 2; got 1"),
        ({"cells": 9}, r"cells must not exceed the image's sides \(6, 6\)"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"targets": [9] * 5}, "targets must be from 0 to 4"),
        ({"images": torch.ones(3, 3)}, "images must be a non-empty"),
    ],
)
def test_bad_input(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        grid_pointing_game(Colours(), **{"images": colours(5), **arguments})


def test_a_single_logit_has_opposite_classes():
    net = nn.Sequential(nn.Flatten(), nn.Linear(27, 1))
    for method, wanted in (("saliency", 1), ("input_x_gradient", -1)):
        found = class_correlation(net, torch.randn(2, 3, 3, 3), method=method)
        torch.testing.assert_close(found, torch.full((2,), float(wanted)))


def test_bad_input_of_the_others():
    with pytest.raises(ValueError, match="other must be one of runner_up, least_likely"):
        class_correlation(Colours(), colours(5), other="any")
    with pytest.raises(ValueError, match=r"classes must be \(5,\); got \(4,\)"):
        make_mosaics(colours(5), torch.arange(4))


def test_class_correlation_equals_quantus():
    """RandomLogit with a rank correlation; of two classes there is one other."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    images = torch.randn(8, 1, 8, 8)
    targets = net(images).argmax(dim=1)
    ours = class_correlation(net, images, targets, method="input_x_gradient")
    with quiet_quantus() as quantus:

        def explain(model, inputs, targets, **_):
            tensors = (torch.as_tensor(each) for each in (inputs, targets))
            return attribute(model, *tensors, method="input_x_gradient")[:, None].numpy()

        metric = quantus.RandomLogit(
            similarity_func=quantus.similarity_func.correlation_spearman,
            num_classes=2,
            normalise=False,
            disable_warnings=True,
        )
        theirs = metric(
            model=net,
            x_batch=images.numpy(),
            y_batch=targets.numpy(),
            explain_func=explain,
            device="cpu",
        )
    torch.testing.assert_close(ours.double(), torch.tensor(theirs).double())
    assert -1 <= ours.min() < ours.max() <= 1
