"""Classifiers of the tests, small enough for a CPU."""

from functools import cache

import torch
from torch import Tensor, nn

from helpers.nets import built

SIDES = {"resnet18": 64, "densenet121": 64, "vit_b_32": 64, "small_resnet": 32}
LAYERS = {
    "resnet18": "layer4",
    "densenet121": "features",
    "vit_b_32": "encoder.layers.encoder_layer_11.ln_1",
    "small_resnet": "stages",
}


@cache
def example(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A model with random weights, two images and their targets, which are not the predictions.

    Biases and running statistics are random too: with those of a new model, a ReLU network is
    homogeneous, and integrated gradients from zero equal input × gradient.
    """
    torch.manual_seed(0)
    model = built(name, 5, SIDES[name]).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.bias.normal_(0, 0.3)
        images = torch.randn(2, 3, SIDES[name], SIDES[name])
        return model, images, model(images).argsort(dim=1)[:, -2]


class Bomb(nn.Module):
    """Raises in a chosen forward pass, or in the first backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.forward_passes_left, self.backward = float("inf"), False

    def forward(self, features: Tensor) -> Tensor:
        """The features as they are."""
        if self.forward_passes_left == 0:
            raise FloatingPointError("forward")
        self.forward_passes_left -= 1
        if self.backward and features.requires_grad:
            features.register_hook(self._raise)
        return features * 1

    def _raise(self, gradient: Tensor) -> None:
        raise FloatingPointError("backward")


class TinyNet(nn.Module):
    """Two convolutions with batch norm and dropout, ReLUs in place."""

    def __init__(self) -> None:
        super().__init__()
        self.bomb = Bomb()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            self.bomb,
            nn.ReLU(inplace=True),
        )
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 4) of images (B, 3, H, W)."""
        return self.head(self.drop(self.features(images).mean(dim=(2, 3))))
