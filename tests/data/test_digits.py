"""The built-in images."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from sib.data import Digits, open_data
from sib.data.datasets.digits import POOLS, _scans
from sib.data.datasets.textures import PHOTOS


@pytest.fixture(scope="module", autouse=True)
def _drawn_each_time(drawn_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Digits, "_draw", drawn_once)
        yield


@pytest.fixture(scope="module")
def images():
    """600 images for each strength, with backgrounds apart from the foreground visible."""
    return {strength: Digits("train", 600, 32, strength) for strength in (0.0, 1.0)}


def corners(source):
    """The four corner patches of every image, where no digit reaches, (N, features)."""
    rows = []
    for index in range(len(source)):
        image = source[index].image.float() / 255
        parts = [image[:, y, x] for y in (slice(0, 5), slice(-5, None)) for x in (slice(0, 5),)]
        parts += [image[:, y, -5:] for y in (slice(0, 5), slice(-5, None))]
        patches = torch.stack(parts).flatten(2)
        moments = [patches.mean(-1), patches.std(-1)]
        rows.append(torch.cat([m.mean(0) for m in moments] + [m.std(0) for m in moments]))
    return torch.stack(rows).numpy()


def corner_accuracy(source):
    features, labels = corners(source), np.array(source.labels)
    pairs = np.einsum("ni,nj->nij", features, features).reshape(len(features), -1)
    features = np.hstack([features, pairs])
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    half = len(labels) // 2
    model = RidgeClassifier(1.0).fit(features[:half], labels[:half])
    return model.score(features[half:], labels[half:])


def test_sample_has_the_contract_types():
    sample = Digits("test", 12)[11]
    assert (sample.image.dtype, sample.image.shape) == (torch.uint8, (3, 48, 48))
    assert (sample.foreground.dtype, sample.foreground.shape) == (torch.bool, (1, 48, 48))
    assert sample.label == 1


def test_classes_are_balanced_and_named():
    source = Digits("train", 50)
    assert source.classes == [str(digit) for digit in range(10)]
    assert np.bincount(source.labels).tolist() == [5] * 10
    assert source.names[17] == "digits/train/17"


@pytest.mark.parametrize("image_size", [16, 48, 96])
def test_foreground_share(image_size):
    source = Digits("train", 100, image_size)
    shares = np.array([float(source[i].foreground.float().mean()) for i in range(100)])
    assert 0.12 < shares.mean() < 0.18
    assert shares.min() > 0.05 and shares.max() < 0.28


def test_foreground_lies_inside_the_image(images):
    for index in range(100):
        mask = images[0.0][index].foreground[0]
        assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def test_foreground_is_where_the_digit_is_painted():
    """Another strength changes the background and keeps the mask, so the two must differ there."""
    shown, other = Digits("train", 200, 48, 0.0), Digits("train", 200, 48, 1.0)
    contrasts = []
    for index in range(200):
        assert torch.equal(shown[index].foreground, other[index].foreground)
        image, mask = shown[index].image.float().mean(0), shown[index].foreground[0]
        contrasts.append(float(image[mask].mean() - image[~mask].mean()))
    assert np.mean(np.array(contrasts) > 10) > 0.95


def test_an_image_does_not_depend_on_the_others():
    forwards, backwards = Digits("train", 8), Digits("train", 100)
    for index in reversed(range(8)):
        backwards[index]
    for index in range(8):
        assert torch.equal(forwards[index].image, backwards[index].image)
        assert torch.equal(forwards[index].foreground, backwards[index].foreground)


def test_seed_split_and_index_each_change_the_image():
    base = Digits("train", 30)[3].image
    others = [Digits("train", 30, seed=1)[3], Digits("test", 30)[3], Digits("train", 30)[13]]
    assert not any(torch.equal(base, other.image) for other in others)


def test_strength_changes_the_family_alone():
    weak, strong = Digits("train", 300, 24, 0.2), Digits("train", 300, 24, 0.7)
    same = [i for i in range(300) if weak.family(i) == strong.family(i)]
    assert 0 < len(same) < 300
    for index in same:
        assert torch.equal(weak[index].image, strong[index].image)
    changed = set(range(300)) - set(same)
    assert all(strong.family(index) == strong.labels[index] for index in changed)


def test_a_sample_can_be_changed_without_changing_the_next():
    source = Digits("train", 2)
    first = source[0].image.clone()
    source[0].image.zero_()
    assert torch.equal(source[0].image, first)


def test_index_out_of_range():
    source = Digits("train", 2)
    with pytest.raises(IndexError):
        source[2]
    assert torch.equal(source[-1].image, source[1].image)


def test_splits_use_disjoint_scans():
    assert sorted(number for pool in POOLS.values() for number in pool) == list(range(10))
    for label in range(10):
        scans = [{scan.tobytes() for scan in _scans(split, label)} for split in POOLS]
        assert all(scans)
        assert not scans[0] & scans[1] and not scans[0] & scans[2] and not scans[1] & scans[2]


def test_photographs_are_cut_at_other_places_for_the_test():
    for family in PHOTOS:
        train, test = family.train, family.test
        apart_x = train.right <= test.left or test.right <= train.left
        apart_y = train.bottom <= test.top or test.bottom <= train.top
        assert apart_x or apart_y


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.1), (0.5, 0.55), (1.0, 1.0)])
def test_share_of_images_on_their_own_family(strength, expected):
    source = Digits("train", 4000, background_strength=strength)
    own = np.mean([source.family(i) == source.labels[i] for i in range(4000)])
    assert own == pytest.approx(expected, abs=0.025 if strength < 1 else 0)


def test_family_is_independent_of_the_class_at_strength_0():
    source = Digits("train", 4000, background_strength=0.0)
    table = np.zeros((10, 10))
    for index in range(4000):
        table[source.labels[index], source.family(index)] += 1
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    # χ² with 81 degrees of freedom exceeds 127 once in a thousand
    assert ((table - expected) ** 2 / expected).sum() < 127


def test_background_predicts_the_class_at_strength_1_and_not_at_0(images):
    assert corner_accuracy(images[1.0]) > 0.8
    assert corner_accuracy(images[0.0]) < 0.2


def test_digits_can_be_told_apart_by_shape():
    """The nearest training masks name most test digits, though those come from other scans."""
    source, test = Digits("train", 1000, 24), Digits("test", 300, 24)
    masks = [
        np.stack([s[i].foreground.numpy().ravel() for i in range(len(s))]) for s in (source, test)
    ]
    model = KNeighborsClassifier(3).fit(masks[0], source.labels)
    assert model.score(masks[1], test.labels) > 0.8


def test_no_single_brightness_finds_the_foreground(images):
    overlaps = []
    for index in range(100):
        sample = images[0.0][index]
        bright = sample.image.float().mean(0) > 140
        mask = sample.foreground[0]
        overlaps.append(float((bright & mask).sum() / (bright | mask).sum().clamp(min=1)))
    assert np.mean(overlaps) < 0.7


def test_small_sets_are_kept_and_large_ones_drawn_anew():
    small, large = Digits("train", 1000, 48), Digits("train", 100_000, 48)
    assert torch.equal(small[7].image, large[7].image)
    assert list(small._drawn) == [7] and not large._drawn
    assert torch.equal(large[7].image, large[7].image)


def test_drawn_images_stay_behind_when_pickled():
    source = Digits("train", 20)
    expected = source[4].image
    copied = pickle.loads(pickle.dumps(source))
    assert not copied._drawn
    assert torch.equal(copied[4].image, expected)


def test_open_data_makes_three_splits():
    splits = open_data("digits", train_size=100, test_size=30, image_size=24, split_seed=3)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (90, 10, 30)
    assert splits.train[0].image.shape == (3, 24, 24)
    assert torch.equal(splits.train[5].image, Digits("train", 90, 24, 0.5, seed=3)[5].image)
    assert splits.name == "digits" and splits.train.annotated
    assert splits.description["images"] == {"train": 90, "validation": 10, "test": 30}
    assert splits.description["background_strength"] == 0.5


@pytest.mark.parametrize(
    ("split", "means", "areas", "families"),
    [
        ("train", [127.4, 111.5, 77.3, 113.2], [343, 314, 463, 246], [0, 1, 7, 8]),
        ("test", [92.8, 119.1, 68.6, 60.0], [260, 369, 349, 376], [8, 1, 6, 9]),
    ],
)
def test_images_stay_the_same_from_version_to_version(split, means, areas, families):
    """Published numbers rest on them."""
    source = Digits(split, 4)
    assert [source.family(i) for i in range(4)] == families
    assert [int(source[i].foreground.sum()) for i in range(4)] == pytest.approx(areas, abs=1)
    drawn = [float(source[i].image.float().mean()) for i in range(4)]
    assert drawn == pytest.approx(means, abs=0.1)
