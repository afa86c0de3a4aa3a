"""Networks of no known family: their layer is asked for, or found where it is beyond doubt."""

import pytest
import torch
from torch import nn

from sib.explain import attribute, cam_layer, candidate_layers
from sib.models.axes import Tokens
from sib.models.layers import describe


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


def test_the_last_layer_of_an_unknown_architecture_is_found_or_given():
    model, images = Unknown(), torch.randn(2, 3, 8, 8)
    assert candidate_layers(model, images) == ["first", "second"]
    by_name = attribute(model, images, 0, layer="second")
    assert torch.equal(by_name, attribute(model, images, 0, layer=model.second))
    assert torch.equal(by_name, attribute(model, images, 0))
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
    found = attribute(
        model, images, 0, "layercam", layer="embed", reshape=lambda t: t.mT.unflatten(2, (4, 4))
    )
    tokens = model.embed(images.flatten(2).mT)  # gradient of the mean of squares: 2 z w / 16
    expected = (tokens * (tokens * model.out.weight[0] / 8).relu()).sum(dim=2).relu()
    torch.testing.assert_close(found, expected.reshape(2, 4, 4))
    assert torch.equal(attribute(model, images, 0, "layercam", layer="embed"), found)


class Stages(nn.Module):
    """layer1 … layerN, each of which halves the side."""

    def __init__(self, count):
        super().__init__()
        for number in range(1, count + 1):
            width = 3 if number == 1 else 2 * number
            convolution = nn.Conv2d(width, 2 * number + 2, 3, stride=2, padding=1)
            self.add_module(f"layer{number}", nn.Sequential(convolution, nn.ReLU()))
        self.fc = nn.Linear(2 * count + 2, 5)

    def forward(self, x):
        for name, layer in self.named_children():
            if name != "fc":
                x = layer(x)
        return self.fc(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("count", [4, 5, 6])
def test_the_deepest_of_the_numbered_layers_is_taken(count):
    found = describe(Stages(count), torch.randn(1, 3, 128, 128))
    side = 128 // 2**count
    assert (found.layer, found.shape) == (f"layer{count}", (2 * count + 2, side, side))
    assert list(found.stages) == [f"layer{number}" for number in range(count - 1, 0, -1)][:3]


class Encoder(nn.Module):
    """Two residual blocks on tokens."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    def forward(self, tokens):
        for block in self.blocks:
            tokens = tokens + 0.1 * block(tokens)
        return tokens


class Hybrid(nn.Module):
    """A convolutional stem under a known name, then an encoder of tokens or of maps."""

    def __init__(self, body):
        super().__init__()
        self.features = nn.Conv2d(3, 8, 4, stride=4)
        self.body, self.fc = body, nn.Linear(8, 5)

    def forward(self, x):
        maps = self.features(x)
        if isinstance(self.body, Encoder):
            return self.fc(self.body(maps.flatten(2).mT).mean(dim=1))
        return self.fc(self.body(maps).mean(dim=(2, 3)))


def test_a_stem_is_not_taken_for_the_last_stage():
    images = torch.randn(1, 3, 32, 32)
    convolutional = Hybrid(nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1)))
    assert cam_layer(convolutional, images).name == "body"
    with pytest.raises(ValueError, match="features is its stem, since the tokens of body") as error:
        cam_layer(Hybrid(Encoder()), images)
    told = str(error.value)
    assert "last first: body, body.blocks.1, body.blocks.0; for body, reshape=lambda t" in told
    assert cam_layer(Hybrid(Encoder()), images, "body").reshape == Tokens((8, 8), 0)


def test_a_patch_embedding_is_never_proposed():
    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokenizer = nn.Conv2d(3, 8, 4, stride=4)
            self.encoder, self.fc = Encoder(), nn.Linear(8, 5)

        def forward(self, x):
            return self.fc(self.encoder(self.tokenizer(x).flatten(2).mT).mean(dim=1))

    model, images = Transformer(), torch.randn(1, 3, 16, 24)
    assert candidate_layers(model, images) == ["encoder.blocks.0", "encoder.blocks.1", "encoder"]
    assert cam_layer(model, images, "encoder").reshape == Tokens((4, 6), 0)


def test_tokens_in_an_unknown_order_are_refused():
    class Shuffled(Encoder):
        def forward(self, tokens):
            order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(1))
            return super().forward(tokens)[:, order]

    with pytest.raises(ValueError, match=r"layer body must give .*not \(B, 64, 8\).*reshape="):
        cam_layer(Hybrid(Shuffled()), torch.randn(1, 3, 32, 32), "body")
