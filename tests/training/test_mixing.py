"""Mixup and CutMix: images, labels and foregrounds mix alike."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sib.training.criterion import WeightedCrossEntropy
from sib.training.mixing import Mixing, cutmix, mixup


def batch():
    """Two images of one value each, labels 0 and 2, with the left and the top half foreground."""
    images = torch.stack([torch.full((3, 4, 4), 1.0), torch.full((3, 4, 4), 5.0)])
    foreground = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    foreground[0, :, :, :2] = True
    foreground[1, :, :2] = True
    return images, torch.tensor([0, 2]), foreground


SWAP = torch.tensor([1, 0])


def test_mixup_by_hand():
    images, labels, foreground = batch()
    share = torch.tensor([0.75, 0.5])
    mixed = mixup(images, labels, 3, SWAP, share, foreground)
    assert mixed.images[:, 0, 0, 0].tolist() == [2.0, 3.0]
    assert mixed.labels.tolist() == [[0.75, 0.0, 0.25], [0.5, 0.0, 0.5]]
    assert torch.equal(mixed.foreground[0], foreground[0] | foreground[1])


def test_cutmix_by_hand():
    images, labels, foreground = batch()
    share, centre = torch.tensor([0.75, 1.0]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    mixed = cutmix(images, labels, 3, SWAP, share, centre, foreground)
    expected = torch.ones(4, 4)
    expected[1:3, 1:3] = 5.0  # √(1 − 0.75) · 4 = 2 pixels a side
    assert torch.equal(mixed.images[0, 0], expected)
    assert torch.equal(mixed.images[1], images[1])  # a share of 1 keeps the whole image
    assert mixed.labels.tolist() == [[0.75, 0.0, 0.25], [0.0, 0.0, 1.0]]
    mask = foreground[0, 0].clone()
    mask[1:3, 1:3] = foreground[1, 0, 1:3, 1:3]
    assert torch.equal(mixed.foreground[0, 0], mask)


def test_a_box_at_the_border_is_counted_again():
    images, labels, _ = batch()
    share, centre = torch.tensor([0.75, 0.75]), torch.tensor([[0.0, 0.0], [1.0, 0.5]])
    mixed = cutmix(images, labels, 3, SWAP, share, centre)
    assert mixed.foreground is None
    assert mixed.labels[0].tolist() == [15 / 16, 0.0, 1 / 16]
    assert mixed.labels[1].tolist() == [2 / 16, 0.0, 14 / 16]


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_without_annotation_of_one_image_there_is_no_foreground(mix):
    images, labels, foreground = batch()
    foreground[1] = False
    share = torch.tensor([0.5, 0.5])
    if mix == "mixup":
        mixed = mixup(images, labels, 3, SWAP, share, foreground)
    else:
        mixed = cutmix(images, labels, 3, SWAP, share, torch.full((2, 2), 0.5), foreground)
    assert not mixed.foreground.any()


@settings(deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(0.2, 0.0), (0.0, 1.0), (0.8, 1.0), (1e-3, 0.0)]),
    st.integers(1, 5),
)
def test_labels_are_distributions_and_cutmix_copies_pixels(seed, alphas, size):
    torch.manual_seed(seed)
    images, labels = torch.rand(size, 3, 7, 5), torch.randint(4, (size,))
    foreground = torch.rand(size, 1, 7, 5) > 0.5
    mixed = Mixing(4, *alphas)(images, labels, foreground)
    assert mixed.images.shape == images.shape and mixed.foreground.shape == foreground.shape
    assert torch.allclose(mixed.labels.sum(dim=1), torch.ones(size))
    assert (mixed.labels >= 0).all()
    assert WeightedCrossEntropy()(torch.zeros(size, 4), mixed.labels).isfinite()
    if not alphas[0]:
        own = (mixed.images == images).all(dim=1)
        share = own.flatten(1).float().mean(dim=1)
        label_share = mixed.labels[torch.arange(size), labels]
        assert (label_share >= share - 1e-6).all()  # the same class may have been pasted


def test_the_same_seed_mixes_alike():
    images, labels, foreground = batch()
    torch.manual_seed(3)
    one = Mixing(3, 0.4, 1.0)(images, labels, foreground)
    torch.manual_seed(3)
    two = Mixing(3, 0.4, 1.0)(images, labels, foreground)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("alphas", [(0, 0), (-1, 0), (0, float("nan")), (float("inf"), 0)])
def test_bad_strengths(alphas):
    with pytest.raises(ValueError, match="_alpha"):
        Mixing(3, *alphas)
