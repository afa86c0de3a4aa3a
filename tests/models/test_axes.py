"""Which axes are places: by type, by proportions, by what a change of the image does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sib.models import axes
from sib.models.axes import ChannelsLast, Tokens, find_axes, keeps_proportions
from sib.models.layers import cam_layer
from sib.models.locality import follows_the_image
from sib.models.trace import trace


class Permute(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, maps):
        return maps.permute(self.order)


def layout(model, images, name):
    return find_axes(model, images, name, trace(model, images)).layout


def test_sixteen_features_on_sixteen_places_are_told_apart_by_a_change():
    """(B, 16, 16, 16): neither shape nor count says which axis is which."""
    images = torch.zeros(1, 3, 32, 32)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), Permute(0, 2, 3, 1), nn.GELU()
    )
    assert [layout(model, images, name) for name in "0123"] == [
        "channels first",
        "channels first",
        "channels last",
        "channels last",
    ]


def test_a_norm_over_the_last_axis_says_where_the_features_are():
    """A map of two places a side and three features; too coarse for proportions to decide."""
    model = nn.Sequential(nn.Conv2d(3, 3, 8, stride=8), Permute(0, 2, 3, 1), nn.LayerNorm(3))
    assert layout(model, torch.zeros(1, 3, 24, 16), "2") == "channels last"


@pytest.mark.parametrize("size", [(32, 48), (48, 32), (64, 64)])
def test_proportions_of_other_images(size):
    model = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), Permute(0, 2, 3, 1))
    images = torch.zeros(1, 3, *size)
    found = [find_axes(model, images, name, trace(model, images)).reshape for name in "01"]
    assert found == [None, ChannelsLast()]


def test_axes_that_nothing_decides_are_refused():
    class Constant(nn.Module):
        def forward(self, images):
            return torch.ones(len(images), 8, 8, 8)

    model, images = (
        nn.Sequential(nn.Flatten(), nn.Unflatten(1, (8, 6, 4)), Constant()),
        torch.zeros(1, 3, 8, 8),
    )
    with pytest.raises(ValueError, match=r"not \(B, 8, 8, 8\), whose axes cannot be matched"):
        layout(model, images, "2")


@pytest.mark.parametrize("first", [True, False])
def test_class_tokens_before_and_after(first):
    class Extra(nn.Module):
        def forward(self, maps):
            tokens = maps.flatten(2).mT
            extra = torch.zeros_like(tokens[:, :2])
            return torch.cat([extra, tokens] if first else [tokens, extra], dim=1)

    model, images = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), Extra()), torch.zeros(1, 3, 16, 24)
    found = find_axes(model, images, "1", trace(model, images)).reshape
    assert found == Tokens((4, 6), 2, extra_first=first)
    output = model(torch.randn(1, 3, 16, 24))
    torch.testing.assert_close(found(output), eval(found.code())(output))


def test_tokens_by_hand():
    tokens = torch.arange(7.0).reshape(1, 7, 1)
    assert Tokens((2, 3), 1)(tokens).tolist() == [[[[1, 2, 3], [4, 5, 6]]]]
    assert Tokens((2, 3), 1, extra_first=False)(tokens).tolist() == [[[[0, 1, 2], [3, 4, 5]]]]


@given(st.integers(1, 40), st.integers(1, 40), st.floats(1, 32), st.sampled_from(["floor", "ceil"]))
def test_every_map_of_one_stride_keeps_the_proportions(h, w, stride, rounding):
    """A side of h strides, rounded up or down, gives h cells again."""
    size = tuple(max(1, int(cells * stride) + (rounding == "ceil")) for cells in (h, w))
    if all(cells <= length for cells, length in zip((h, w), size, strict=True)):
        assert keeps_proportions((h, w), size)


@pytest.mark.parametrize("grid", [(2, 288), (65, 65), (4, 8)])
def test_other_proportions_are_none(grid):
    assert not keeps_proportions(grid, (64, 64))


def test_a_replaced_module_is_seen():
    model, images = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten()), torch.zeros(1, 3, 4, 4)
    assert trace(model, images).shapes["0"] == (1, 4, 4, 4)
    assert trace(model, images) is trace(model, images)
    model[0] = nn.Conv2d(3, 5, 1)
    assert trace(model, images).shapes["0"] == (1, 5, 4, 4)
    assert trace(model, torch.zeros(1, 3, 2, 2)).shapes["0"] == (1, 5, 2, 2)


def test_a_layer_is_tried_once(monkeypatch):
    model, images = nn.Sequential(nn.Flatten(2), Permute(0, 2, 1)), torch.zeros(1, 3, 4, 4)
    tries = []
    monkeypatch.setattr(
        axes, "follows_the_image", lambda *given: tries.append(given) or follows_the_image(*given)
    )
    first, second = (find_axes(model, images, "1", trace(model, images)) for _ in range(2))
    assert first is second and first.reshape == Tokens((4, 4), 0) and len(tries) == 1


@pytest.mark.parametrize("reading", [Tokens((3, 4), 0), Tokens((4, 3), 0)])
def test_a_reading_passes_where_the_map_changes_in_its_own_place(reading):
    """Pixels as tokens: rows of four are right for 3 × 4 images, rows of three are wrong."""
    model, images = nn.Sequential(nn.Flatten(2), Permute(0, 2, 1)), torch.zeros(1, 3, 3, 4)
    found = follows_the_image(model, images, "1", reading, reading.grid)
    assert found == (reading.grid == (3, 4))


class Stages(nn.Module):
    """layer1 to layer5, each half as large as the one before."""

    def __init__(self, classes, width):
        super().__init__()
        for number in range(1, 6):
            setattr(self, f"layer{number}", nn.Conv2d(3 if number == 1 else width, width, 3, 2, 1))
        self.fc = nn.Linear(width, classes)

    def forward(self, images):
        for number in range(1, 6):
            images = getattr(self, f"layer{number}")(images)
        return self.fc(images.mean((2, 3)))


@pytest.mark.parametrize(("classes", "width"), [(2, 8), (3, 8), (8, 8)])
def test_as_many_classes_as_places_or_features_hide_no_stage(classes, width):
    """At 64 pixels layer5 is 2 × 2."""
    images = torch.randn(1, 3, 64, 64)
    assert cam_layer(Stages(classes, width).eval(), images).name == "layer5"
