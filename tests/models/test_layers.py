"""The layer of each architecture, and the question for one where it is unknown."""

from typing import NamedTuple

import pytest
import timm
import torch
from torch import nn

from helpers.examples import LAYERS, SIDES, example
from sib.explain import METHODS, attribute, available_methods, cam_layer, candidate_layers
from sib.models import build
from sib.models.axes import Tokens
from sib.models.layers import describe

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
    sentence = r"last first: embed; for embed, reshape=lambda t: t.mT.unflatten\(2, \(4, 4\)\)"
    with pytest.raises(ValueError, match=sentence):
        attribute(model, images)
    found = attribute(
        model, images, 0, "layercam", layer="embed", reshape=lambda t: t.mT.unflatten(2, (4, 4))
    )
    tokens = model.embed(images.flatten(2).mT)  # gradient of the mean of squares: 2 z w / 16
    expected = (tokens * (tokens * model.out.weight[0] / 8).relu()).sum(dim=2).relu()
    torch.testing.assert_close(found, expected.reshape(2, 4, 4))
    assert torch.equal(attribute(model, images, 0, "layercam", layer="embed"), found)


class Normalize(nn.Module):
    def forward(self, images):
        return (images - 0.5) / 0.5


def test_a_network_inside_another_is_looked_into():
    inner, images = build("resnet18", 4, 64).eval(), torch.randn(1, 3, 64, 64)
    wrapped = nn.Sequential(Normalize(), inner)
    assert cam_layer(wrapped, images).name == "1.layer4"
    expected = attribute(inner, Normalize()(images), 0)
    torch.testing.assert_close(attribute(wrapped, images, 0), expected)
    text = str(describe(nn.Sequential(wrapped), images))
    assert text.startswith("0.1.layer4 (512 × 2 × 2); finer stages 0.1.layer3 (256 × 4 × 4), ")


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


def test_a_map_of_one_place_has_no_cam():
    model, images = build("resnet18", 4, 32).eval(), torch.randn(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"layer4 gives one place .*finer.*layer3 \(256 × 2 × 2\)"):
        attribute(model, images, 0, "gradcam")
    maps = [attribute(model, images, target, "layercam", layer="layer3") for target in range(4)]
    assert max(map_.std() for map_ in maps) > 0
    assert not {"gradcam", "gradcam_pp", "layercam"} & set(available_methods(model, images))


def test_a_layer_that_gives_several_tensors_is_refused():
    with pytest.raises(ValueError, match="attention gives a tuple in place of one tensor"):
        cam_layer(OfTransformers(), torch.zeros(1, 3, 16, 16), "vit.encoder.layer.1.attention")


def test_what_was_taken_in_words():
    model = timm.create_model("mambaout_femto", num_classes=3).eval()
    found = describe(model, torch.randn(1, 3, 64, 96))
    finer = {"stages.2": [192, 4, 6], "stages.1": [96, 8, 12], "stages.0": [48, 16, 24]}
    words = ", ".join(f"{name} ({' × '.join(map(str, shape))})" for name, shape in finer.items())
    assert str(found) == f"stages (288 × 2 × 3, channels last); finer stages {words}"
    assert found.has_places
    assert found.as_dict() == {
        "layer": "stages",
        "shape": [288, 2, 3],
        "axes": "channels last",
        "stages": finer,
    }
    model, images = build("resnet18", 4, 64), torch.randn(1, 3, 64, 64)
    named = describe(model, images, "layer3", stages=["layer1.0"])
    assert str(named) == "layer3 (256 × 4 × 4); finer stages layer1.0 (64 × 16 × 16)"
    given = describe(model, images, "layer3", reshape=lambda maps: maps[:, :7])
    assert given.shape == (7, 4, 4) and given.axes == "given"
    assert not describe(model, torch.randn(1, 3, 32, 32)).has_places


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        (["layer9"], "stages must be modules that the model calls; got 'layer9'"),
        (["layer1", "layer1"], "stages names layer1 twice"),
        (["fc"], r"layer fc must give a feature map"),
    ],
)
def test_bad_stages_are_refused(stages, sentence):
    model, images = build("resnet18", 4, 64), torch.randn(1, 3, 64, 64)
    with pytest.raises(ValueError, match=sentence):
        describe(model, images, stages=stages)
