"""The stages before the last one are those that everything passes through."""

import pytest
import torch
from torch import nn

from helpers.nets import group_norm_net
from sib.models import build
from sib.models.layers import cam_layer
from sib.models.stages import finer_stages


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
    model, images = build(arch, 5, side), torch.zeros(2, 3, side, side)
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


def test_what_is_no_map_of_places_makes_no_stage():
    class ChannelsLast(nn.Module):
        def forward(self, maps):
            return maps.permute(0, 2, 3, 1)

    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), ChannelsLast(), ChannelsLast(), nn.Conv2d(8, 4, 3, 2, 1)
    )
    # (2, 4, 8, 8), (2, 8, 8, 4), (2, 8, 4, 8), (2, 4, 2, 4): the second and third are no maps
    assert finer_stages(model, torch.zeros(2, 3, 16, 16), "3") == ["0"]
