"""The layer of each architecture that is known, and where its tokens lie in the image."""

import pytest
import timm
import torch

from helpers.examples import LAYERS, SIDES, example
from helpers.nets import built
from sib.explain import attribute, cam_layer
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
    "timm/vit_tiny_r_s16_p8_224": "blocks.11.norm1",
    "timm/hiera_tiny_224": "blocks.11",
    "timm/fastvit_t8": "final_conv",
    "timm/mambaout_femto": "stages",
    "timm/pvt_v2_b0": "stages",
    "timm/dla34": "level5",
    "timm/hrnet_w18_small": "final_layer",
    "timm/focalnet_tiny_srf": "norm",
}


@pytest.mark.parametrize("name", SIDES)
def test_layer_of_each_of_our_families(name):
    model, images, _ = example(name)
    assert cam_layer(model, images).name == LAYERS[name]


@pytest.mark.parametrize(("name", "layer"), OTHERS.items())
def test_layer_of_common_others(name, layer):
    """The layer has the name above, and its map has places that differ."""
    model = built(name, 4, 64).eval()
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
    model = built(name, 4, 64)
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
