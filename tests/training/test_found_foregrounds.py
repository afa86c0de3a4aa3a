"""Foregrounds found in the features of a network, and how well they fit the annotation."""

import pytest
import torch
from torch import nn

from helpers.squares import AREA, Squares
from sib.models import SmallResNet
from sib.training import found_foreground
from sib.training.foreground_quality import ForegroundQuality
from sib.training.found_foreground import View, find_foregrounds
from sib.utils.errors import InputError

VIEW = View(32, "crop", "half", torch.device("cpu"))


class Colours(nn.Module):
    """Means of 4 × 4 pixels as features (B, 3, 8, 8)."""

    def __init__(self, classes=2):
        super().__init__()
        self.places = nn.Conv2d(3, 3, 4, stride=4, groups=3)
        nn.init.constant_(self.places.weight, 1 / 16)
        self.head = nn.Linear(3, classes)

    def forward(self, images):
        return self.head(self.places(images).mean(dim=(2, 3)))


def test_a_planted_square_is_found():
    found = find_foregrounds(Colours(), Squares(12), VIEW, AREA, layer="places")
    assert found.maps.shape == (12, 1, 8, 8) and found.names == Squares(12).names
    quality = found.facts["quality"]
    assert quality["found"] > 0.8 > 0.5 > quality["disc"] > quality["even"]
    assert quality["even"] == pytest.approx(AREA) and quality["images"] == 12
    assert found.facts["explained"] > 0.9


def test_the_network_and_the_random_numbers_stay_as_they_are():
    torch.manual_seed(1)
    model = SmallResNet(2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    found = find_foregrounds(model, Squares(40), VIEW, AREA)
    assert found.facts["layer"] == "stages.2" and found.maps.shape == (40, 1, 4, 4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and torch.equal(state, torch.random.get_rng_state())


def test_looking_once_or_twice_is_the_same(monkeypatch):
    model = Colours()
    once = find_foregrounds(model, Squares(40), VIEW, AREA, layer="places")
    monkeypatch.setattr(found_foreground, "MOST_KEPT", 0)
    twice = find_foregrounds(model, Squares(40), VIEW, AREA, layer="places")
    assert torch.equal(once.maps, twice.maps) and once.names == twice.names
    monkeypatch.setattr(found_foreground, "MOST_IMAGES", 10)
    part = find_foregrounds(model, Squares(40), VIEW, AREA, layer="places", seed=1)
    assert part.facts["images"] == 10 and len(part.maps) == 40
    assert part.facts["quality"]["found"] == pytest.approx(once.facts["quality"]["found"], abs=0.05)


def test_quality_by_hand():
    quality = ForegroundQuality()
    assert quality.record() is None
    found = torch.zeros(3, 1, 10, 10, dtype=torch.bool)
    found[:2, :, :2] = True
    annotation = torch.zeros(3, 1, 10, 10, dtype=torch.bool)
    annotation[:, :, 0] = True  # half of what was found, a tenth of the image, none of the disc
    quality.add(found, annotation, torch.tensor([True, False, True]))
    assert quality.record() == {
        "images": 1,
        "found": 0.5,
        "disc": 0.0,
        "even": 0.1,
        "area": pytest.approx(0.2),
        "recall": 1.0,
    }


def test_quality_of_a_foreground_of_one_pixel():
    """Its disc is the four pixels at the centre of the image."""
    quality = ForegroundQuality()
    found = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    found[..., 4, 4] = True
    quality.add(found, found, torch.tensor([True]))
    record = quality.record()
    assert record is not None
    assert (record["found"], record["disc"], record["even"]) == (1.0, 0.25, 1 / 64)


class Torn(Squares):
    """Its last image cannot be read, and has a batch of its own."""

    def __getitem__(self, index):
        if index == len(self) - 1:
            raise InputError(f"{self.names[index]} is cut off")
        return super().__getitem__(index)


def test_a_batch_of_which_nothing_can_be_read_is_left_out(monkeypatch):
    monkeypatch.setattr(found_foreground, "BATCH", 4)
    with pytest.raises(InputError, match="square 8 is cut off"):
        find_foregrounds(Colours(), Torn(9), VIEW, AREA, layer="places")
    skipping = VIEW._replace(skip_bad=True)
    found = find_foregrounds(Colours(), Torn(9), skipping, AREA, layer="places")
    assert found.names == Squares(8).names and len(found.maps) == 8


class Constant(Colours):
    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.places.weight)


@pytest.mark.parametrize(
    ("model", "source", "layer", "sentence"),
    [
        (Colours(), Squares(1), "places", "at least 2 training images; got 1"),
        (Constant(), Squares(4), "places", "layer places: the features are the same"),
        (Colours(), Squares(4), "head", "layer head must give a feature map"),
        (Colours(), Squares(4), "nowhere", "layer must be a module of the model"),
    ],
)
def test_networks_that_find_nothing(model, source, layer, sentence):
    with pytest.raises(InputError, match=f"--foreground pretrained: .*{sentence}"):
        find_foregrounds(model, source, VIEW, AREA, layer)
