"""Behaviour with several labels an image: by hand, and against one pair at a time."""

import pytest
import torch
from torch import nn

from sib.functional.label_kinds import set_label_kind
from sib.metrics.behaviour import (
    CONDITIONS,
    FILLS,
    chance_recall,
    label_behaviour_of,
    remove_object,
    summarise,
    values_of,
)

SIDE = 9
PLACES = [(slice(1, 3), slice(1, 4)), (slice(5, 8), slice(1, 3)), (slice(2, 5), slice(5, 8))]
"""Where the objects of the three labels are."""


def case(count=14, seed=0):
    """Images with 0 to 3 labels, each with an object at its own place."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, SIDE, SIDE, generator=generator)
    labels = (torch.rand(count, 3, generator=generator) > 0.4).float()
    labels[~labels.any(dim=1), 2] = 1
    first = [[0, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1], [1, 0, 1]]
    labels[:5] = torch.tensor(first).float()
    own = []
    union = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.bool)
    for row, k in labels.nonzero().tolist():
        mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
        mask[(0, *PLACES[k])] = True
        union[row] |= mask
        own.append(mask)
    return images, labels, union, torch.stack(own)


def unnamed(batch, row):
    """The objects of an image without the names of their classes."""
    images, labels, union, own = batch
    own = own.clone()
    own[labels.nonzero()[:, 0] == row] = False
    return images, labels, union, own


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 49, 3)
    ).eval()
    return set_label_kind(net, "multi")


class Reader(nn.Module):
    """Logit k is 10 times the mean value of the pixels of ``places[k]``."""

    def __init__(self, places):
        super().__init__()
        self.places = places

    def forward(self, images):
        return torch.stack([10 * images[(..., *p)].mean(dim=(1, 2, 3)) for p in self.places], dim=1)


def test_a_reader_of_its_objects_and_one_of_the_corner_by_hand():
    """Objects are 1 and the background −1; the corner is 1 where the image has label 0."""
    _, labels, union, own = case()
    images = torch.where(union, 1.0, -1.0).repeat(1, 3, 1, 1)
    corner = (slice(0, 1), slice(0, 1))
    images[..., 0, 0] = 2 * labels[:, :1] - 1
    batch = images, labels, union, own
    of_objects = label_behaviour_of(set_label_kind(Reader(PLACES), "multi"), [batch])
    found = summarise(of_objects)
    assert found["accuracy"] == 1
    for name, row in found["conditions"].items():
        assert row["added"] == 0, name
        if name == "background_alone_tiled":  # a tile may show another label's object in its place
            assert row["accuracy"] < 0.5
        elif name.startswith("background_alone"):  # the object is gone, and with it the label
            assert row["accuracy"] == 0 and row["changed"] == 1 and row["log_odds_change"] < -9
        elif name != "noised":
            assert row["accuracy"] == 1 and row["log_odds_change"] == pytest.approx(0, abs=1e-4)
    of_corner = set_label_kind(Reader([corner, *PLACES[1:]]), "multi")
    table = label_behaviour_of(of_corner, [batch])
    rows = table["label"] == 0
    for fill in FILLS:
        assert table[f"background_alone_{fill}/correct"][rows].all()
        assert not table[f"exchanged_{fill}/correct"][rows].any()
        assert table[f"same_class_{fill}/correct"][rows].nanmean() == 1
        # another label's pair gets a background that may have label 0
        donor, others = table["donor"], (table["label"] > 0) & ~table["present"][:, 0]
        expected = labels[donor.clamp_min(0), 0].double()
        torch.testing.assert_close(table[f"exchanged_{fill}/added"][others], expected[others])
    assert summarise(table)["background_gap"]["tiled"] == pytest.approx(
        float(rows.sum() / (table["label"] >= 0).sum()), abs=0.02
    )


@pytest.mark.parametrize("name", CONDITIONS)
def test_equals_one_pair_at_a_time_in_float64(net, name):
    """The table's own donors, then every step written out for single pairs."""
    batch = images, labels, union, own = unnamed(case(), 4)
    table = label_behaviour_of(net, [batch], [name], fill=0.2, seed=3)
    condition, net = CONDITIONS[name], net.double()
    pairs = labels.nonzero().tolist()
    assert table["label"].tolist() == [-1, *(k for _, k in pairs)]
    assert table["image"].tolist() == [0, *(i for i, _ in pairs)]
    for row, (i, k) in enumerate(pairs, start=1):
        image, mask = images[i].double(), union[i].double()
        if condition.kind in ("object_alone", "background_alone"):
            mask = own[row - 1].double()
            if i == 4:  # two labels, and whose objects are whose is unknown
                assert table[f"{name}/correct"][row].isnan()
                continue
        donor = None
        if condition.kind in ("exchanged", "same_class"):
            key = "donor" if condition.kind == "exchanged" else "same_class_donor"
            donor = int(table[key][row])
            assert donor != i and bool(labels[donor, k]) == (condition.kind == "same_class")
            other = remove_object(images[[donor]], union[[donor]], condition.fill)[0].double()
        elif condition.kind == "background_alone":
            other = remove_object(images[[i]], own[[row - 1]], condition.fill)[0].double()
            mask = 0 * mask
        elif condition.kind == "object_alone":
            other = torch.full_like(image, 0.2)
        elif condition.kind == "greyed":
            other = image.mean(dim=0).expand_as(image)
        else:  # blurred and noised are those of one class an image
            from sib.metrics.behaviour import blur_background, noise_background

            single = {"blurred": blur_background, "noised": noise_background}[condition.kind]
            options = {"seed": 3} if condition.kind == "noised" else {}
            other = single(images[[i]], union[[i]], **options)[0].double()
        with torch.no_grad():
            before = net(image[None])[0].sigmoid()
            after = net((mask * image + (1 - mask) * other)[None])[0].sigmoid()
        assert table["scored"][row]
        assert table[f"{name}/correct"][row] == float(after[k] > 0.5)
        assert table[f"{name}/changed"][row] == float((after[k] > 0.5) != (before[k] > 0.5))
        first = max(before[k], 1 - before[k])
        second = after[k] if before[k] > 0.5 else 1 - after[k]
        expected = (second / (1 - second)).log() - (first / (1 - first)).log()
        assert table[f"{name}/log_odds_change"][row].item() == pytest.approx(
            expected.item(), abs=2e-4
        )
        added = [after[m] > 0.5 and before[m] <= 0.5 for m in range(3) if not labels[i, m]]
        assert table[f"{name}/added"][row] == float(any(added))


def test_the_size_of_the_batches_does_not_matter(net):
    images, labels, union, own = case(count=20)
    groups = torch.arange(20) % 5 - 1
    whole = label_behaviour_of(net, [(images, labels, union, own, groups)], donors=6)
    of_image = labels.nonzero()[:, 0]
    parts = [
        (images[a:b], labels[a:b], union[a:b], own[(of_image >= a) & (of_image < b)], groups[a:b])
        for a, b in ((0, 7), (7, 8), (8, 20))
    ]
    split = label_behaviour_of(net, parts, donors=6)
    assert list(split) == list(whole)
    for name in whole:
        torch.testing.assert_close(split[name], whole[name], equal_nan=True, rtol=0, atol=1e-5)
    assert len(set(whole["donor"].tolist()) - {-1}) <= 6
    ranks = [label_behaviour_of(net, parts, donors=6, rank=r, ranks=2) for r in (0, 1)]
    joined = torch.cat([each["noised/log_odds_change"] for each in ranks])
    expected = whole["noised/log_odds_change"].sort().values
    torch.testing.assert_close(joined.sort().values, expected, equal_nan=True, rtol=0, atol=1e-5)
    assert summarise(whole)["original"]["worst_group"]["images"] > 0


def test_a_label_whose_objects_are_unknown_is_left_out(net):
    """The first image with two labels has objects of one: the other pair is not scored."""
    images, labels, union, own = case()
    own[0] = False  # label 0 of image 1
    table = label_behaviour_of(net, [(images, labels, union, own)])
    assert not table["scored"][1] and table["scored"][2]
    values = values_of(table)[1]
    assert values[1].isnan().all() and values[0].isnan().all() and not values[2].isnan().any()
    # its background may show the object of label 0, so it lends none
    assert 1 not in table["donor"].tolist() + table["same_class_donor"].tolist()


def test_one_label_without_a_name_has_the_union(net):
    batch = unnamed(case(), 2)
    table = label_behaviour_of(net, [batch], ["object_alone"])
    full = label_behaviour_of(net, [case()], ["object_alone"])
    torch.testing.assert_close(
        table["object_alone/log_odds_change"], full["object_alone/log_odds_change"], equal_nan=True
    )


def test_recall_by_guessing():
    present = torch.tensor([[1, 1], [1, 1], [0, 1], [0, 0], [0, 0]]).bool()
    decided = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]]).bool()
    labels, images = torch.tensor([0, 1, 1, -1, -1]), torch.tensor([0, 0, 1, 2, 3])
    # label 0 is absent in images 1 to 3 and named in the first; label 1 in images 2 and 3, in both
    assert chance_recall(present, decided, labels, images) == pytest.approx((1 / 3 + 1 + 1) / 3)
    always = chance_recall(present, torch.ones_like(present), labels, images)
    assert always == 1  # who always says yes has a recall of 1 by guessing


def test_what_is_refused(net):
    images, labels, union, own = case()
    with pytest.raises(ValueError, match=r"own must have the shape \(\d+, 1, 9, 9\)"):
        label_behaviour_of(net, [(images, labels, union, own[1:])])
    with pytest.raises(ValueError, match=r"labels must be \(14, K\) of 0 and 1"):
        label_behaviour_of(net, [(images, labels / 2, union, own)])
    with pytest.raises(ValueError, match="got 3 parts"):
        label_behaviour_of(net, [(images, labels, union)])
    with pytest.raises(ValueError, match="none of 14 images has a label whose objects are known"):
        label_behaviour_of(net, [(images, labels, union & False, own & False)])
    with pytest.raises(ValueError, match="every label"):
        label_behaviour_of(net, [(images[3:4], labels[3:4], union[3:4], own[3:6])])
    with pytest.raises(ValueError, match="a logit for each label"):
        two = set_label_kind(Reader(PLACES[:2]), "multi")
        label_behaviour_of(two, [(images, labels, union, own)])
