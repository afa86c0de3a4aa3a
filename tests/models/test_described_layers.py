"""What is said of a layer: its name, its shape, its places and the finer stages before it."""

import pytest
import timm
import torch
from torch import nn

from sib.explain import attribute, available_methods, cam_layer
from sib.models import build
from sib.models.layers import describe


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


def test_a_map_of_one_place_has_no_cam():
    model, images = build("resnet18", 4, 32).eval(), torch.randn(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"layer4 gives one place .*finer.*layer3 \(256 × 2 × 2\)"):
        attribute(model, images, 0, "gradcam")
    maps = [attribute(model, images, target, "layercam", layer="layer3") for target in range(4)]
    assert max(map_.std() for map_ in maps) > 0
    assert not {"gradcam", "gradcam_pp", "layercam"} & set(available_methods(model, images))


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
