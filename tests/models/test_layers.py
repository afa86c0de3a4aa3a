"""The layer of each architecture, and the question for one where it is unknown."""

import pytest
import timm
import torch
from torch import nn

from explain.examples import LAYERS, SIDES, example
from sib.explain import attribute, cam_layer, candidate_layers
from sib.models import build

OTHERS = {
    "resnet50": "layer4",
    "vgg11": "features.19",
    "alexnet": "features.11",
    "mobilenet_v2": "features",
    "mobilenet_v3_small": "features",
    "efficientnet_b0": "features",
    "convnext_tiny": "features",
    "swin_t": "permute",
    "regnet_y_400mf": "trunk_output",
    "shufflenet_v2_x0_5": "conv5",
    "mnasnet0_5": "layers",
    "squeezenet1_1": "features",
    "timm/resnet18": "layer4",
    "timm/vit_tiny_patch16_224": "blocks.11.norm1",
    "timm/deit_tiny_distilled_patch16_224": "blocks.11.norm1",
    "timm/convnext_atto": "stages",
    "timm/regnety_002": "final_conv",
    "timm/mobilenetv3_small_050": "blocks",
    "timm/efficientnet_b0": "bn2",
}


@pytest.mark.parametrize("name", SIDES)
def test_layer_of_each_of_our_families(name):
    model, images, _ = example(name)
    assert cam_layer(model, images).name == LAYERS[name]


@pytest.mark.parametrize(("name", "layer"), OTHERS.items())
def test_layer_of_common_others(name, layer):
    """The layer has the name above, and its map has places that differ."""
    model = build(name, 4, 64).eval()
    images = torch.randn(1, 3, 64, 64)
    place = cam_layer(model, images)
    assert place.name == layer
    seen = []
    with torch.no_grad():
        handle = place.module.register_forward_hook(lambda m, i, output: seen.append(output))
        model(images)
        handle.remove()
    features = seen[0] if place.reshape is None else place.reshape(seen[0])
    assert features.ndim == 4 and features.shape[2] == features.shape[3] > 1
    assert features.std(dim=(2, 3)).max() > 0
    assert attribute(model, images, 0, "gradcam").shape == (1, 64, 64)


def test_swin_of_timm_stands_with_channels_last():
    model = timm.create_model("swin_tiny_patch4_window7_224", num_classes=3, img_size=64).eval()
    images = torch.randn(1, 3, 64, 64)
    place = cam_layer(model, images)
    assert place.name == "norm"
    assert place.reshape(torch.zeros(1, 2, 2, 768)).shape == (1, 768, 2, 2)
    assert attribute(model, images, 0, "gradcam").shape == (1, 64, 64)


@pytest.mark.parametrize("name", ["vit_b_32", "timm/vit_tiny_patch16_224"])
def test_tokens_go_to_the_places_of_their_patches(name):
    """Token n of a row-major grid lands at row n // w, column n % w; the class token is gone."""
    model = build(name, 4, 64)
    images = torch.zeros(1, 3, 64, 64)
    side = 64 // (32 if name == "vit_b_32" else 16)
    tokens = torch.arange(side**2 + 1.0).reshape(1, -1, 1) - 1
    grid = cam_layer(model, images).reshape(tokens)
    assert torch.equal(grid, torch.arange(float(side**2)).reshape(1, 1, side, side))


def test_vit_map_falls_where_the_image_acts():
    """A ViT whose class token reads one patch alone explains itself by that patch."""
    model = build("timm/vit_tiny_patch16_224", 8, 64).eval()
    images = torch.randn(1, 3, 64, 64)
    place = cam_layer(model, images)
    only = torch.zeros(1, 17, 1)
    only[0, 1 + 6] = 1  # patch 6 of 4 × 4: row 1, column 2
    place.module.register_forward_hook(lambda module, inputs, output: output * only)
    found = max(
        (attribute(model, images, target, "layercam")[0] for target in range(8)),
        key=lambda map_: map_.max().item(),
    )
    row, column = divmod(found.argmax().item(), 64)
    assert found.max() > 0 and (row // 16, column // 16) == (1, 2)


class Unknown(nn.Module):
    """No family that is known."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 5, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.unused = nn.Conv2d(3, 3, 1)
        self.out = nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.pool(self.second(self.first(x))).flatten(1))


def test_unknown_architecture_asks_for_a_layer_and_takes_it():
    model, images = Unknown(), torch.randn(2, 3, 8, 8)
    assert candidate_layers(model, images) == ["first", "second"]
    with pytest.raises(
        ValueError, match=r"layer must be given for a Unknown.*last first: second, first"
    ):
        attribute(model, images)
    by_name = attribute(model, images, 0, layer="second")
    assert torch.equal(by_name, attribute(model, images, 0, layer=model.second))
    assert not torch.equal(by_name, attribute(model, images, 0, layer="first"))


def test_layer_that_takes_no_part_is_refused():
    with pytest.raises(ValueError, match="layer unused takes no part in the forward pass"):
        attribute(Unknown(), torch.randn(2, 3, 8, 8), layer="unused")


def test_layer_without_influence_is_refused():
    class Aside(Unknown):
        def forward(self, x):
            self.unused(x)
            return super().forward(x)

    with pytest.raises(ValueError, match="layer unused has no influence on the logits"):
        attribute(Aside(), torch.randn(2, 3, 8, 8), layer="unused")


def test_own_reshape():
    """Tokens of an unknown transformer, made a map by the caller."""

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(3, 6)
            self.out = nn.Linear(6, 2)

        def forward(self, x):
            return self.out(self.embed(x.flatten(2).mT).square().mean(dim=1))

    model, images = Tokens(), torch.randn(2, 3, 4, 4)
    with pytest.raises(ValueError, match="candidates, last first: embed"):
        attribute(model, images)
    with pytest.raises(ValueError, match=r"not \(2, 16, 6\).*reshape="):
        attribute(model, images, layer="embed")
    found = attribute(
        model, images, 0, "layercam", layer="embed", reshape=lambda t: t.mT.unflatten(2, (4, 4))
    )
    tokens = model.embed(images.flatten(2).mT)  # gradient of the mean of squares: 2 z w / 16
    expected = (tokens * (tokens * model.out.weight[0] / 8).relu()).sum(dim=2).relu()
    torch.testing.assert_close(found, expected.reshape(2, 4, 4))
