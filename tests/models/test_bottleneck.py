"""The last layer that everything passes through, in networks of no known family."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sib.models.axes import ROWS_FIRST, Tokens
from sib.models.bottleneck import last_bottleneck
from sib.models.layers import cam_layer, describe
from sib.models.trace import trace

IMAGES = torch.randn(1, 3, 16, 16)


class Convolutions(nn.Module):
    """Two layers, and what a subclass does with them."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.features(F.relu(self.one(x))).mean(dim=(2, 3)))

    def features(self, x):
        return self.two(x).relu()


class Residual(Convolutions):
    def features(self, x):
        return x + self.two(x)


class Branches(Convolutions):
    """Two paths from the image to the logits."""

    def __init__(self):
        super().__init__()
        self.other = nn.Conv2d(3, 8, 3, stride=2, padding=1)

    def forward(self, x):
        joined = self.two(self.one(x)) * 0.5 + self.other(x).tanh()
        return self.out(joined.mean(dim=(2, 3)))


class OnlyTheStem(Convolutions):
    """All but the stem has no modules."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8, 3, 3) / 9)

    def features(self, x):
        return F.conv2d(F.conv2d(x, self.weight).relu(), self.weight).relu()


class HeadAtEachPlace(Convolutions):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.head(self.two(self.one(x).relu())).mean(dim=(2, 3))


class ClassToken(nn.Module):
    """A transformer whose last attention is read at its class token, in blocks of no known name."""

    def __init__(self, pooled=False):
        super().__init__()
        self.pooled = pooled
        self.cells = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.parts = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, norm_first=True) for _ in range(4)
        )
        self.last = nn.LayerNorm(8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x = self.cells(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        for part in self.parts:
            x = part(x)
        x = self.last(x)
        return self.out(x[:, 1:].mean(dim=1) if self.pooled else x[:, 0])


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (Convolutions, "two"),
        (Residual, "one"),
        (Branches, None),
        (OnlyTheStem, None),
        (HeadAtEachPlace, "two"),
        (ClassToken, "parts.2"),
    ],
)
def test_known_answers(network, layer):
    torch.manual_seed(0)
    model = network().eval()
    if network is Residual:  # so that most weights come before the sum
        model.one = nn.Conv2d(3, 8, 9, stride=2, padding=4)
    assert last_bottleneck(model, IMAGES, trace(model, IMAGES)) == layer


def test_class_tokens_are_left_out():
    torch.manual_seed(0)
    for pooled, name in ((True, "last"), (False, "parts.2")):
        place = cam_layer(ClassToken(pooled).eval(), IMAGES)
        assert place.name == name and place.reshape == Tokens((4, 4), 1)


def test_a_network_of_branches_is_refused_with_what_may_be_named():
    with pytest.raises(ValueError, match=r"layer must be given for a Branches.*: other, two, one"):
        cam_layer(Branches().eval(), IMAGES)


def test_one_logit_of_zero_decides_nothing():
    model = Convolutions().eval()
    nn.init.zeros_(model.out.weight)
    assert last_bottleneck(model, IMAGES, trace(model, IMAGES)) is None


class Shared(nn.Module):
    """One encoder that sees the image in several parts."""

    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.out = nn.Linear(8, 3)


class Quadrants(Shared):
    def forward(self, x):
        parts = [half for side in x.chunk(2, 2) for half in side.chunk(2, 3)]
        return self.out(sum(self.enc(part).mean(dim=(2, 3)) for part in parts))


class QuadrantsAsABatch(Shared):
    def forward(self, x):
        parts = torch.cat([half for side in x.chunk(2, 2) for half in side.chunk(2, 3)])
        return self.out(self.enc(parts).mean(dim=(2, 3)).unflatten(0, (4, -1)).sum(dim=0))


class Siamese(Shared):
    def forward(self, x):
        return self.out((self.enc(x) - self.enc(x.flip(3))).abs().mean(dim=(2, 3)))


class TwoScales(Shared):
    def forward(self, x):
        small = F.avg_pool2d(x, 2)
        return self.out(self.enc(x).mean(dim=(2, 3)) + self.enc(small).mean(dim=(2, 3)))


class Repeated(Convolutions):
    """The last call of a layer that is called in a chain."""

    def features(self, x):
        return self.two(self.two(self.two(x).relu()).relu())


@pytest.mark.parametrize("network", [Quadrants, QuadrantsAsABatch, Siamese, TwoScales])
def test_a_layer_whose_last_call_sees_only_a_part_is_refused(network):
    torch.manual_seed(0)
    model = network().eval()
    assert last_bottleneck(model, IMAGES, trace(model, IMAGES)) is None
    with pytest.raises(ValueError, match="layer must be given"):
        cam_layer(model, IMAGES)


def test_the_last_call_of_a_chain_serves():
    torch.manual_seed(0)
    model = Repeated().eval()
    assert last_bottleneck(model, IMAGES, trace(model, IMAGES)) == "two"


def block(*last):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *last)


class PooledSum(nn.Module):
    """A residual block that is pooled, so that only its output lets everything pass."""

    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2)

    def forward(self, x):
        return self.pool(x + self.conv(x).relu())


@pytest.mark.parametrize(
    ("body", "layer", "side"),
    [
        (block(), "body", 16),
        (block(nn.AdaptiveAvgPool2d(2)), "body.1", 16),
        (block(nn.MaxPool2d(2), nn.Dropout()), "body.1", 16),
        (block(nn.Sequential(nn.MaxPool2d(2), nn.ReLU())), "body.1", 16),
        (nn.Sequential(block(nn.MaxPool2d(2))), "body.0.1", 16),
        (PooledSum(), "body", 8),
    ],
)
def test_a_layer_that_ends_in_a_pooling_gives_way_to_what_comes_before(body, layer, side):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.out = body, nn.LazyLinear(3)

        def forward(self, x):
            return self.out(self.body(x).flatten(1))

    torch.manual_seed(0)
    model = Network().eval()
    model(IMAGES)
    found = describe(model, IMAGES)
    assert found.layer == layer and found.shape[1:] == (side, side)


@pytest.mark.parametrize("n", [nn.Identity(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1, groups=3)])
def test_a_layer_before_all_trained_weights_is_refused(n):
    class Perceptron(nn.Module):
        def __init__(self):
            super().__init__()
            self.n, self.mlp = n, nn.Sequential(nn.Flatten(), nn.Linear(768, 3))

        def forward(self, x):
            return self.mlp(self.n(x))

    with pytest.raises(ValueError, match="layer must be given for a Perceptron"):
        cam_layer(Perceptron().eval(), IMAGES)


@pytest.mark.torture
@pytest.mark.parametrize(
    ("name", "layer", "places"),
    [
        ("twins_pcpvt_small", "norm", 7),
        ("twins_svt_small", "norm", 7),
        ("pit_ti_224", "transformers.2.blocks.2", 7),
        ("mvitv2_tiny", "norm", 7),
        ("nest_tiny", "norm", 14),
        ("volo_d1_224", "post_network.0", 14),
        ("rdnet_tiny", "norm_pre", 7),
        ("selecsls42b", "head", 4),
        ("coat_lite_tiny", "serial_blocks4.0", 7),
    ],
)
def test_families_of_timm(name, layer, places):
    timm = pytest.importorskip("timm")
    model = timm.create_model(name, num_classes=5).eval()
    found = describe(model, torch.randn(1, 3, 224, 224))
    assert found.layer == layer and f"× {places} × {places}" in str(found).partition(";")[0]


@pytest.mark.torture
def test_stages_of_levit_are_read_row_by_row():
    timm = pytest.importorskip("timm")
    model, images = (
        timm.create_model("levit_128s", num_classes=5).eval(),
        torch.randn(1, 3, 224, 224),
    )
    found = describe(model, images)
    assert list(found.stages) == ["stages.1", "stages.0"]
    assert trace(model, images).memory[ROWS_FIRST] == "stages"
