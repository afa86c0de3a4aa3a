"""Small classifiers without batch norm, whose images do not see one another."""

import torchvision.models
from torch import nn


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
