"""The layers that a message proposes are ones that serve."""

import pytest
import torch
from torch import nn

from sib.explain import attribute
from sib.models.candidates import describe_candidates

IMAGES = torch.randn(1, 3, 16, 16)


class Attention(nn.Module):
    """One head; what it gives is tokens (B, N, C)."""

    def __init__(self):
        super().__init__()
        self.norm, self.to_all, self.mlp = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, tokens):
        q, k, v = self.to_all(self.norm(tokens)).chunk(3, dim=-1)
        tokens = tokens + (q @ k.mT).softmax(dim=-1) @ v
        return tokens + self.mlp(tokens)


class TwoBranches(nn.Module):
    """Two transformers in lists; only the class token of each is read, and their logits added."""

    def __init__(self):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Conv2d(3, 8, 4, 4), nn.Conv2d(3, 8, 8, 8)])
        self.blocks = nn.ModuleList([Attention(), Attention()])
        self.norms = nn.ModuleList([nn.LayerNorm(8), nn.LayerNorm(8)])
        self.heads = nn.ModuleList([nn.Linear(8, 2), nn.Linear(8, 2)])

    def forward(self, x):
        logits = 0
        for embed, block, norm, head in zip(
            self.embeds, self.blocks, self.norms, self.heads, strict=True
        ):
            tokens = embed(x).flatten(2).mT
            tokens = torch.cat((tokens[:, :1] * 0, tokens), dim=1)
            logits = logits + head(norm(block(tokens))[:, 0])
        return logits


def test_the_layer_proposed_for_a_class_token_has_a_gradient_at_its_places():
    model = TwoBranches()
    said = describe_candidates(model, IMAGES)
    first = said.removeprefix("candidates, last first: ").split(",")[0]
    assert first == "blocks.1.to_all"  # after it, only the class token is read
    assert "norms" not in said
    assert attribute(model, IMAGES, 0, layer=first).any()


def test_no_layer_is_proposed_where_none_serves():
    class Shuffled(nn.Module):
        """Tokens in an order of their own from the first layer on."""

        def __init__(self):
            super().__init__()
            self.mix, self.out = nn.Linear(48, 8), nn.Linear(8, 2)
            self.order = torch.randperm(16, generator=torch.Generator().manual_seed(2))

        def forward(self, x):
            patches = x.unfold(2, 4, 4).unfold(3, 4, 4).flatten(2, 3).transpose(1, 2).flatten(2)
            return self.out(self.mix(patches[:, self.order]).mean(dim=1))

    with pytest.raises(ValueError, match="none is proposed: no layer among 1 has places in"):
        attribute(Shuffled(), IMAGES, 0, method="gradcam")


def test_a_layer_before_a_maximum_over_places_is_proposed():
    """Of one image, the maximum takes one place for each channel."""

    class Maximum(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.out = nn.Conv2d(3, 12, 3, stride=4), nn.Linear(12, 2)

        def forward(self, x):
            return self.out(self.one(x).amax(dim=(2, 3)))

    assert describe_candidates(Maximum(), IMAGES) == "candidates, last first: one"
