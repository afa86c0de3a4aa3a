"""The stages before the last one are those that everything passes through."""

import copy
import warnings

import pytest
import torch
from torch import nn

from helpers.nets import built, group_norm_net
from sib.models import build
from sib.models.layers import cam_layer, choose_layer, describe
from sib.models.stages import finer_stages
from sib.objectives.published import SpatialIB
from sib.tasks.shorthand import SpatialIBTask


@pytest.mark.parametrize(
    ("arch", "side", "expected"),
    [
        ("resnet18", 64, ["layer3", "layer2", "layer1"]),
        ("resnet50", 64, ["layer3", "layer2", "layer1"]),
        ("densenet121", 64, [f"features.denseblock{number}" for number in (3, 2, 1)]),
        ("vgg11", 64, ["features.14", "features.9", "features.4"]),
        ("small_resnet", 48, ["stages.1", "stages.0"]),
        ("vit_b_32", 64, []),
    ],
)
def test_the_stages_of_an_architecture(arch, side, expected):
    model, images = built(arch, 5, side), torch.zeros(2, 3, side, side)
    model.train()
    assert finer_stages(model, images, cam_layer(model, images).name) == expected
    assert all(module.training for module in model.modules())


def test_a_model_that_holds_another_has_its_stages():
    model, images = nn.ModuleDict({"net": build("resnet18", 5, 64)}), torch.zeros(2, 3, 64, 64)
    model.forward = lambda images: model["net"](images)
    expected = ["net.layer3", "net.layer2", "net.layer1"]
    assert finer_stages(model, images, "net.layer4") == expected
    assert finer_stages(model, images, "net.layer4", most=1) == expected[:1]


def test_maps_as_large_as_the_image_are_no_stage():
    assert finer_stages(group_norm_net(), torch.zeros(1, 3, 16, 16), "6") == []


def test_maps_with_channels_last_are_stages():
    class ChannelsLast(nn.Module):
        def forward(self, maps):
            return maps.permute(0, 2, 3, 1)

    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), ChannelsLast(), ChannelsLast(), nn.Conv2d(8, 4, 3, 2, 1)
    )
    # (2, 4, 8, 8), (2, 8, 8, 4), (2, 8, 4, 8), (2, 4, 2, 4): the third is not a map of the image
    assert finer_stages(model, torch.zeros(2, 3, 16, 16), "3") == ["1"]


class Stage(nn.Module):
    """(B, h, w, C) → (B, h/2, w/2, C')."""

    def __init__(self, channels, more):
        super().__init__()
        self.convolution = nn.Conv2d(channels, more, 3, 2, 1)

    def forward(self, maps):
        return self.convolution(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class ChannelsLastNet(nn.Module):
    """Three stages whose maps have their channels last."""

    def __init__(self, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 2, 2)
        self.stages = nn.Sequential(Stage(6, 10), Stage(10, 12))
        self.head = nn.Linear(12, classes)

    def forward(self, images):
        return self.head(self.stages(self.stem(images).permute(0, 2, 3, 1)).mean((1, 2)))


def test_a_network_with_channels_last_has_its_stages_and_a_term_for_each():
    model, images = ChannelsLastNet(), torch.randn(4, 3, 32, 32)
    found = describe(model, images)
    assert str(found) == (
        "stages (12 × 4 × 4, channels last); finer stages stages.0 (10 × 8 × 8), stem (6 × 16 × 16)"
    )
    out = SpatialIBTask(model, SpatialIB.calibrated())(images, torch.tensor([0, 1, 2, 0]))
    assert 0 < out.terms.values["stages"] < 1


def test_stages_that_are_named_are_the_ones():
    model, images = ChannelsLastNet(), torch.randn(4, 3, 32, 32)
    labels = torch.tensor([0, 1, 2, 0])
    own = SpatialIBTask(model, SpatialIB.calibrated(stages=("stages.0", "stem")))(images, labels)
    found = SpatialIBTask(model, SpatialIB.calibrated())(images, labels)
    assert torch.equal(own.terms.values["stages"], found.terms.values["stages"])
    none = SpatialIBTask(model, SpatialIB.calibrated(stages=()))(images, labels)
    assert none.terms.values["stages"] == 0
    with pytest.raises(ValueError, match="stages must be modules that the model calls"):
        SpatialIBTask(model, SpatialIB.calibrated(stages=("nosuch",)))(images, labels)


def test_a_last_stage_of_one_place_has_no_term_which_is_reported_once():
    model, images, labels = ChannelsLastNet(), torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    task = SpatialIBTask(model, SpatialIB.calibrated())
    with pytest.warns(UserWarning, match=r"one place.*give layer= a finer one, such as stages.0"):
        out = task(images, labels)
    assert out.terms.values["layer"] == 0
    assert out.weights["layer"] == 0
    assert 0 < out.terms.values["stages"] < 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.backward(task(images, labels).loss)


def test_a_layer_that_was_chosen_holds_for_copies_too():
    model, images = ChannelsLastNet(), torch.zeros(1, 3, 32, 32)
    choose_layer(model, "stages.0")
    assert cam_layer(copy.deepcopy(model), images).name == "stages.0"
    assert cam_layer(model, images, "stages.1").name == "stages.1"
    with pytest.raises(ValueError, match=r"name of a module of the model; got 'head.x'"):
        choose_layer(model, "head.x")


class Patches(nn.Module):
    """Tokens of the patches of an image, row by row."""

    def __init__(self, side):
        super().__init__()
        self.proj = nn.Conv2d(3, 8, side, side)

    def forward(self, images):
        return self.proj(images).flatten(2).mT


class Merge(nn.Module):
    """Tokens of 8 × 8 places, averaged over blocks of places."""

    def __init__(self, side):
        super().__init__()
        self.side, self.mix = side, nn.Linear(8, 8)

    def forward(self, tokens):
        maps = self.mix(tokens).mT.unflatten(2, (8, 8))
        return nn.functional.avg_pool2d(maps, self.side).flatten(2).mT


class Reorder(nn.Module):
    """Tokens in another order, as a block leaves them that attends within windows."""

    def forward(self, tokens):
        return tokens.flip(1)


class Hierarchy(nn.Module):
    """A transformer whose places get fewer, without its attention."""

    def __init__(self, first="embed", merged=2):
        super().__init__()
        self.first = first
        setattr(self, first, Patches(2))
        self.block, self.merge = Reorder(), Merge(merged)
        self.head = nn.Linear(8, 3)

    def forward(self, images):
        tokens = self.block(getattr(self, self.first)(images))
        return self.head(self.merge(tokens.flip(1)).mean(1))


@pytest.mark.parametrize("first", ["embed", "patch_embed"])
def test_the_patch_embedding_is_no_stage(first):
    model, images = Hierarchy(first), torch.zeros(1, 3, 16, 16)
    found = describe(model, images, "merge")
    assert found.shape == (8, 4, 4) and found.stages == {}


def test_a_single_token_is_a_map_of_one_place():
    found = describe(Hierarchy(merged=8), torch.zeros(1, 3, 16, 16), "merge")
    assert found.shape == (8, 1, 1) and not found.has_places
