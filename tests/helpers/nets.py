"""Small classifiers without batch norm, whose images do not see one another."""

import torch
import torchvision.models
from torch import nn

from sib.models import build


def group_norm_net(classes=5, dropout=0.0):
    """Two convolutions with GroupNorm, for 16 × 16 images."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.GroupNorm(2, 8),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.GroupNorm(4, 16),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def small_vit(classes=5):
    """torchvision's vision transformer, two layers, for 16 × 16 images."""
    vit = torchvision.models.VisionTransformer(16, 4, 2, 2, 16, 32, num_classes=classes)
    nn.init.normal_(vit.heads.head.weight, std=0.5)
    return vit


class Hungry(nn.Sequential):
    """Asks for more memory than any machine has, where it is given more than 20 images."""

    def forward(self, images):
        if len(images) > 20:
            torch.empty(len(images), 2**50)
        return super().forward(images)


def hungry(classes):
    return Hungry(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))


class Insatiable(nn.Linear):
    """Asks for more memory than any machine has, in train mode."""

    def forward(self, images):
        if self.training:
            torch.empty(len(images), 2**50)
        return super().forward(images.mean(dim=(2, 3)))


def insatiable(classes):
    return Insatiable(3, classes)


def depthwise(classes: int) -> nn.Module:
    """A convolution, a depthwise one and a linear layer; ``--arch helpers.nets:depthwise``."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.Conv2d(8, 16, 1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


class GatedSkip(nn.Module):
    """A convolution beside another path, which counts for nothing until it is trained."""

    def __init__(self, classes):
        super().__init__()
        self.f = nn.Conv2d(3, 8, 3, padding=1)
        self.g = nn.Conv2d(3, 8, 1)
        self.alpha = nn.Parameter(torch.zeros(()))
        self.out = nn.Linear(8, classes)

    def forward(self, images):
        features = self.f(images).relu() + self.alpha * self.g(images).relu()
        return self.out(features.mean(dim=(2, 3)))


def gated_skip(classes: int) -> nn.Module:
    """``--arch helpers.nets:gated_skip``."""
    return GatedSkip(classes)


def small_densenet(classes: int) -> nn.Module:
    """torchvision's DenseNet with two blocks; ``--arch helpers.nets:small_densenet``."""
    return torchvision.models.DenseNet(8, (2, 2), 16, num_classes=classes)


def batch_norm_net(classes=5):
    """Two convolutions, one with batch norm and a ReLU in place, one with a GELU."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, stride=2),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


def narrow_vit(classes, side):
    """torchvision's ``vit_b_32`` with 64 in place of 768 channels."""
    vit = torchvision.models.VisionTransformer(side, 32, 12, 4, 64, 128, num_classes=classes)
    nn.init.normal_(vit.heads.head.weight, std=0.5)
    return vit


def built(name, classes, side):
    """As `build`, without the width of a ViT and without the hidden layers of a VGG's head.

    Their weights take a third and a half of a gigabyte.
    """
    if name == "vit_b_32":
        return narrow_vit(classes, side)
    if not name.startswith("vgg"):
        return build(name, classes, side)
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(num_classes=classes)
    model.classifier = nn.Linear(512 * 7 * 7, classes)
    model.features.to_empty(device="cpu")
    for module in model.features:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


class Attention(nn.Module):
    """One attention layer over 8 × 8 patches of a 32 × 32 image."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, 8)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.head(self.attend(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def another_head_for_two(classes):
    """Two classes have a single logit, from a layer of its own name."""
    name, outputs = ("logit", 1) if classes == 2 else ("head", classes)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    body.add_module(name, nn.Linear(8, outputs))
    return body
