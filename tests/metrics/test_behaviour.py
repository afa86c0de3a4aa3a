"""Behaviour: the audit against one image at a time, what is counted, what is refused."""

import math

import pytest
import torch
from torch import nn

from helpers.centred import SIDE, case
from sib.metrics import behaviour
from sib.metrics.behaviour import (
    CONDITIONS,
    FILLS,
    behaviour_of,
    remove_object,
    summarise,
    values_of,
)


class Reader(nn.Module):
    """Two classes, decided by the mean of the pixels where ``place`` is True."""

    def __init__(self, place):
        super().__init__()
        self.register_buffer("place", place)

    def forward(self, images):
        value = (images * self.place).sum(dim=(1, 2, 3)) / (self.place.sum() * images.shape[1])
        return torch.stack([value, -value], dim=1)


def signed(object_sign, background_sign, labels, foreground):
    """Images of one value on the object and one around it, their signs given by the class."""
    sign = 1.0 - 2.0 * labels.double()
    where = foreground.double()
    shape = (-1, 1, 1, 1)
    inside, outside = object_sign * sign.view(shape), background_sign * sign.view(shape)
    return (where * inside + (1 - where) * outside).float()


def test_a_classifier_that_reads_the_object_and_one_that_reads_the_background():
    """By hand: with the backgrounds of the other class, one keeps all decisions, one none."""
    foreground = torch.zeros(8, 1, SIDE, SIDE, dtype=torch.bool)
    foreground[:, :, 3:6, 3:6] = True
    labels = torch.arange(8) % 2
    batch = signed(1, 1, labels, foreground), labels, foreground
    for place, kept in ((foreground[0], 1.0), (~foreground[0], 0.0)):
        found = summarise(behaviour_of(Reader(place.float()), [batch]))
        assert found["accuracy"] == 1 and found["original"]["worst_class"]["accuracy"] == 1
        for fill in FILLS:
            exchanged = found["conditions"][f"exchanged_{fill}"]
            assert exchanged["accuracy"] == kept and exchanged["changed"] == 1 - kept
            # the log-odds of two logits ±1 are 2; those of the other class −2
            assert exchanged["log_odds_change"] == pytest.approx(4 * (kept - 1), abs=1e-5)
            assert found["conditions"][f"same_class_{fill}"]["accuracy"] == 1
            assert found["background_gap"][fill] == 1 - kept
            alone = found["conditions"][f"background_alone_{fill}"]
            assert alone["accuracy"] == 1 and alone["log_odds_change"] == pytest.approx(0, abs=1e-5)
        alone = found["conditions"]["object_alone"]
        assert alone["log_odds_change"] == pytest.approx(2 * (kept - 1), abs=1e-5)


@pytest.fixture
def net():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 49, 3)
    ).eval()


@pytest.mark.parametrize("name", CONDITIONS)
def test_equals_one_image_at_a_time_in_float64(net, name):
    """The table's own donors, then every step written out for single images."""
    images, labels, foreground = case()
    table = behaviour_of(net, [(images, labels, foreground)], [name], fill=0.2, seed=3)
    condition, net = CONDITIONS[name], net.double()
    for i in range(len(images)):
        if i in (1, 2):
            assert not table["scored"][i] and table[f"{name}/correct"][i].isnan()
            continue
        image, mask = images[i].double(), foreground[i].double()
        if condition.kind in ("exchanged", "same_class"):
            key = "donor" if condition.kind == "exchanged" else "same_class_donor"
            j = int(table[key][i])
            assert j != i and (labels[j] == labels[i]) == (condition.kind == "same_class")
            other = remove_object(images[j : j + 1], foreground[j : j + 1], condition.fill)[0]
        elif condition.kind == "background_alone":
            mask = 0 * mask
            other = remove_object(images[i : i + 1], foreground[i : i + 1], condition.fill)[0]
        elif condition.kind == "object_alone":
            other = torch.full_like(image, 0.2)
        elif condition.kind == "greyed":
            other = image.mean(dim=0).expand_as(image)
        elif condition.kind == "noised":
            drawn = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
            other = image + image.std(correction=0) * drawn
            low, high = image.amin((1, 2), True), image.amax((1, 2), True)
            other = torch.minimum(torch.maximum(other, low), high)
        else:
            other = slow_blur(image, mask[0])
        changed = mask * image + (1 - mask) * other.double()
        with torch.no_grad():
            before, after = (net(x[None]).softmax(dim=1)[0] for x in (image, changed))
        decided = int(before.argmax())
        assert table["predicted"][i] == decided
        assert table[f"{name}/correct"][i] == float(after.argmax() == labels[i])
        assert table[f"{name}/changed"][i] == float(after.argmax() != decided)
        first, second = before[decided], after[decided]
        expected = math.log(second / (1 - second)) - math.log(first / (1 - first))
        assert table[f"{name}/log_odds_change"][i].item() == pytest.approx(expected, abs=2e-4)


def slow_blur(image, mask):
    """Every background pixel as a weighted mean of background pixels, mirrored at the border."""
    side, sigma = image.shape[-1], 0.1 * image.shape[-1]
    reach = min(round(3 * sigma), side - 1)

    def mirror(k):
        return -k if k < 0 else 2 * (side - 1) - k if k >= side else k

    result = image.clone()
    for y in range(side):
        for x in range(side):
            total, weight = torch.zeros(3, dtype=torch.float64), 0.0
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    v, u = mirror(y + dy), mirror(x + dx)
                    w = math.exp(-(dy**2 + dx**2) / (2 * sigma**2)) * (1 - mask[v, u].item())
                    total, weight = total + w * image[:, v, u], weight + w
            if not mask[y, x]:
                result[:, y, x] = total / weight
    return result


def test_the_size_of_the_batches_does_not_matter(net):
    images, labels, foreground = case(count=20)
    groups = torch.arange(20) % 5 - 1
    whole = behaviour_of(net, [(images, labels, foreground, groups)], donors=6)
    parts = [
        (images[a:b], labels[a:b], foreground[a:b], groups[a:b])
        for a, b in ((0, 7), (7, 8), (8, 20))
    ]
    split = behaviour_of(net, parts, donors=6)
    assert list(split) == list(whole)
    for name in whole:
        torch.testing.assert_close(split[name], whole[name], equal_nan=True, rtol=0, atol=1e-5)
    assert len(set(whole["donor"].tolist()) - {-1}) <= 6
    other = behaviour_of(net, parts, donors=6, seed=1)
    assert not torch.equal(other["donor"], whole["donor"])


def test_images_that_cannot_be_used_are_counted(net):
    images, labels, foreground = case()
    table = behaviour_of(net, [(images, labels, foreground)])
    found = summarise(table)
    assert (found["images"], found["scored"], found["left_out"]) == (12, 10, 2)
    assert table["scored"].tolist() == [i not in (1, 2) for i in range(12)]
    assert table["foreground_share"][:4].tolist() == pytest.approx([12 / 81, 0, 1, 12 / 81])
    names, values = values_of(table)
    assert values.shape == (12, len(names)) and len(names) == 1 + 3 * len(CONDITIONS)
    assert values[1:3].isnan().all() and not values[3:].isnan().any()


def test_a_box_that_leaves_no_strip_is_not_tiled(net):
    """Two corners belong to the object: its box is the image, its surroundings are not."""
    images, labels, foreground = case()
    foreground[4, :, 0, 0] = foreground[4, :, -1, -1] = True
    tiled = remove_object(images[4:5], foreground[4:5], "tiled")
    assert tiled.isnan().all()
    found = summarise(behaviour_of(net, [(images, labels, foreground)]))["conditions"]
    assert found["background_alone_tiled"]["without_value"] == 1
    assert found["background_alone_diffusion"]["without_value"] == 0


def test_the_worst_group_is_reported_where_groups_are_known(net):
    images, labels, foreground = case()
    groups = torch.arange(12) // 6
    found = summarise(behaviour_of(net, [(images, labels, foreground, groups)], ["greyed"]))
    correct = behaviour_of(net, [(images, labels, foreground)], ["greyed"])["greyed/correct"]
    expected = min(correct[:6].nanmean().item(), correct[6:].nanmean().item())
    assert found["conditions"]["greyed"]["worst_group"]["accuracy"] == pytest.approx(expected)
    without = summarise(behaviour_of(net, [(images, labels, foreground)], ["greyed"]))
    assert without["conditions"]["greyed"]["worst_group"] is None


def test_the_model_is_left_as_found(net):
    net.train()
    before = [buffer.clone() for buffer in net.buffers()]
    behaviour_of(net, [case()])
    assert all(module.training for module in net.modules())
    assert all(torch.equal(a, b) for a, b in zip(before, net.buffers(), strict=True))


def test_one_class_alone_has_nothing_to_exchange(net):
    images, _, foreground = case()
    batch = images, torch.full((12,), 1), foreground
    with pytest.raises(ValueError, match="images of at least two have a foreground; all 10 are of"):
        behaviour_of(net, [batch])
    assert summarise(behaviour_of(net, [batch], ["blurred"]))["scored"] == 10


def test_a_class_of_one_image_has_no_partner_of_its_class(net):
    images, labels, foreground = case(count=6)
    labels = torch.tensor([0, 0, 0, 0, 0, 2])
    table = behaviour_of(net, [(images, labels, foreground)])
    assert table["same_class_donor"][5] == -1 and table["donor"][5] >= 0
    assert table["same_class_diffusion/correct"][5].isnan()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"conditions": []}, "conditions must be a list of names"),
        ({"conditions": "blurred"}, "conditions must be a list of names; got 'blurred'"),
        ({"conditions": ["nothing"]}, "conditions must be one of exchanged_surroundings"),
        ({"donors": 1}, "donors must be a whole number of at least 2; got 1"),
        ({"noise": 0}, "noise must be a finite number above 0; got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"fill": [0.0, 1.0]}, "fill must be a finite number, or one for each of 3 channels"),
        ({"deviation": 0.0}, "deviation must not be 0"),
    ],
)
def test_bad_options(net, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        behaviour_of(net, [case()], **options)


def test_bad_batches(net):
    images, labels, foreground = case()

    def refuse(batches, sentence):
        with pytest.raises(ValueError, match=sentence):
            behaviour_of(net, batches)

    refuse((batch for batch in [case()]), "batches are read twice")
    refuse([], "none of 0 images has a foreground")
    refuse([(images, labels, 0 * foreground.float())], "none of 12 images has a foreground")
    refuse([(images, labels)], "got 2 parts")
    refuse([(images, labels.float(), foreground)], "labels must be whole numbers")
    refuse([(images, labels, foreground[:, :, 1:])], "foreground must be bool or floating")
    smaller = images[..., 1:], labels, foreground[..., 1:]
    refuse([(images, labels, foreground), smaller], "images of one shape")
    refuse([(images, labels, foreground, labels), (images, labels, foreground)], "none of them")
    images[3, 0, 0, 0] = math.nan
    refuse([(images, labels, foreground)], "logits that are not finite")


def test_a_single_logit_is_two_classes():
    one = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 1))
    both = nn.Linear(1, 2, bias=False)
    both.weight.data = torch.tensor([[-0.5], [0.5]])
    batch = [case(classes=2)]
    found, wanted = (
        summarise(behaviour_of(net, batch))["conditions"] for net in (one, nn.Sequential(one, both))
    )
    for name in wanted:
        for figure in ("accuracy", "changed", "log_odds_change"):
            assert found[name][figure] == pytest.approx(wanted[name][figure], abs=1e-5)


def test_grey_is_grey_before_normalisation():
    mean, deviation = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.25])
    pixels = torch.rand(2, 3, 4, 4)
    images = (pixels - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    nothing = torch.zeros(2, 1, 4, 4)
    grey = behaviour.grey_background(images, nothing, mean=mean, deviation=deviation)
    back = grey * deviation.view(3, 1, 1) + mean.view(3, 1, 1)
    torch.testing.assert_close(back, pixels.mean(dim=1, keepdim=True).expand_as(back))
