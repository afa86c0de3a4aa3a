"""The layer whose features tell the foreground, by rule, for CNNs and transformers."""

import pytest
import torch
from torch import nn

from helpers.nets import built
from sib.models.build import build
from sib.models.foreground_layer import foreground_layer


@pytest.mark.parametrize(
    ("arch", "side", "name", "shape"),
    [
        ("timm/tf_efficientnet_lite0", 224, "blocks.5", (192, 7, 7)),
        ("timm/tf_efficientnet_lite0", 128, "blocks.5", (192, 4, 4)),
        ("resnet18", 224, "layer4.1", (512, 7, 7)),
        ("resnet18", 32, "layer2.1", (128, 4, 4)),  # whose last stage has one place
        ("vgg11", 64, "features.17", (512, 4, 4)),
        ("small_resnet", 48, "stages.2", (128, 6, 6)),
        ("convnext_tiny", 128, "features.7.1", (768, 4, 4)),
        ("swin_t", 128, "permute", (768, 4, 4)),  # with its channels last inside
        ("vit_b_32", 224, "encoder.layers.encoder_layer_8", (64, 7, 7)),
        ("timm/vit_tiny_patch16_224", 224, "blocks.8", (192, 14, 14)),
        ("timm/deit_tiny_distilled_patch16_224", 224, "blocks.8", (192, 14, 14)),
    ],
)
def test_the_rule_by_architecture(arch, side, name, shape):
    model, images = built(arch, 3, side).eval(), torch.rand(2, 3, side, side)
    place = foreground_layer(model, images)
    assert (place.name, place.shape) == (name, shape)
    outputs = []
    place.module.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    with torch.no_grad():
        model(images)
    assert place.as_map(outputs[0]).shape == (2, *shape)


def test_tokens_are_read_row_by_row_without_the_class_token():
    model, images = build("timm/vit_tiny_patch16_224", 3, 224).eval(), torch.rand(1, 3, 224, 224)
    place = foreground_layer(model, images)
    tokens = torch.arange(197.0)[None, :, None].expand(1, 197, 192)
    assert torch.equal(place.as_map(tokens)[0, 0], torch.arange(1.0, 197).view(14, 14))


def test_a_layer_of_ones_own():
    model, images = build("resnet18", 3, 64).eval(), torch.rand(1, 3, 64, 64)
    assert foreground_layer(model, images, "layer2").shape == (128, 8, 8)
    assert foreground_layer(model, images, model.layer3).name == "layer3"


@pytest.mark.parametrize(
    ("side", "layer", "sentence"),
    [
        (32, "layer4", "layer layer4 gives 1 × 1 places at images of 32 × 32 pixels"),
        (64, "layer4", "gives 2 × 2 places .* at least 3 × 3: give an earlier layer"),
        (64, "fc", "layer fc must give a feature map"),
        (64, "layer9", "layer must be a module of the model"),
    ],
)
def test_layers_without_places_are_refused(side, layer, sentence):
    with pytest.raises(ValueError, match=sentence):
        foreground_layer(build("resnet18", 3, side).eval(), torch.rand(1, 3, side, side), layer)


def test_an_unknown_architecture_needs_a_layer():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match="layer must be given"):
        foreground_layer(model, torch.rand(1, 3, 16, 16))
    assert foreground_layer(model, torch.rand(1, 3, 16, 16), "0").shape == (4, 14, 14)
