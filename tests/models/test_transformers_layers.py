"""Networks with the module names and the outputs of the transformers library."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from sib.explain import METHODS, attribute, cam_layer
from sib.models.layers import describe


class Output(NamedTuple):
    logits: torch.Tensor
    hidden: None = None


class OfTransformers(nn.Module):
    """A vision transformer with the module names and the output of the transformers library."""

    def __init__(self):
        super().__init__()
        self.vit = nn.Module()
        self.vit.embeddings = nn.Module()
        self.vit.embeddings.projection = nn.Conv2d(3, 8, 4, stride=4)
        self.vit.encoder = nn.Module()
        self.vit.encoder.layer = nn.ModuleList(nn.Module() for _ in range(3))
        for layer in self.vit.encoder.layer:
            layer.layernorm_before, layer.mix = nn.LayerNorm(8), nn.Linear(8, 8)
            layer.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.classifier = nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.vit.embeddings.projection(x).flatten(2).mT
        tokens = torch.cat([torch.ones_like(tokens[:, :1]), tokens], dim=1)
        for layer in self.blocks():
            normed = layer.layernorm_before(tokens)
            tokens = tokens + layer.attention(normed, normed, normed)[0]
            tokens = tokens + layer.mix(tokens)
        return Output(self.classifier(tokens[:, 0]))

    def blocks(self):
        return self.vit.encoder.layer


class OfTransformers5(OfTransformers):
    """The same with the names of release 5."""

    def __init__(self):
        super().__init__()
        self.vit.layers = self.vit.encoder.layer
        del self.vit.encoder

    def blocks(self):
        return self.vit.layers


def test_the_names_of_transformers_5_are_known():
    model, images = OfTransformers5().eval(), torch.zeros(1, 3, 16, 16)
    assert cam_layer(model, images).name == "vit.layers.2.layernorm_before"
    assert str(describe(model, images)) == "vit.layers.2.layernorm_before (8 × 4 × 4, tokens)"


@pytest.mark.parametrize("method", [*sorted(set(METHODS) - {"guided_backprop"})])
def test_models_whose_logits_are_a_part_of_their_output(method):
    model, images = OfTransformers().eval(), torch.randn(2, 3, 16, 16)
    assert cam_layer(model, images).name == "vit.encoder.layer.2.layernorm_before"
    found = attribute(model, images, 1, method, n_masks=20)

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return self.model(images).logits

    assert found.abs().max() > 0
    assert torch.equal(found, attribute(Plain(), images, 1, method, n_masks=20))


def test_a_layer_that_gives_several_tensors_is_refused():
    with pytest.raises(ValueError, match="attention gives a tuple in place of one tensor"):
        cam_layer(OfTransformers(), torch.zeros(1, 3, 16, 16), "vit.encoder.layer.1.attention")
