"""The real images beside the project."""

import numpy as np
import pytest
import torch

from sib.cli.main import main
from sib.data import open_data


@pytest.fixture
def leeds(shared_data):
    return open_data(str(shared_data / "leeds_butterfly"))


@pytest.fixture
def birds(shared_data):
    return open_data(str(shared_data / "cub_200_2011_20cls"))


def test_leeds_counts(leeds):
    assert len(leeds.train) + len(leeds.validation) == 612
    assert len(leeds.test) == 100
    assert len(leeds.classes) == 10 and leeds.classes[0] == "001.Danaus_plexippus"
    assert np.bincount(leeds.test.labels).tolist() == [10] * 10
    assert set(leeds.validation.labels) == set(range(10))


def test_every_leeds_mask_decodes_to_a_butterfly(leeds):
    for source in (leeds.train, leeds.validation, leeds.test):
        for index in range(len(source)):
            sample = source[index]
            share = float(sample.foreground.float().mean())
            assert sample.foreground.shape[-2:] == sample.image.shape[-2:]
            assert 0.02 < share < 0.95, source.names[index]


def test_bird_counts(birds):
    assert len(birds.train) + len(birds.validation) == 600
    assert len(birds.test) == 300
    assert len(birds.classes) == 20 and birds.classes[1] == "004.Groove_billed_Ani"
    assert np.bincount(birds.test.labels).tolist() == [15] * 20


def test_bird_boxes_have_the_area_that_their_file_says(birds, shared_data):
    folder = shared_data / "cub_200_2011_20cls"
    paths = dict(line.split() for line in (folder / "images.txt").read_text().splitlines())
    areas = {}
    for line in (folder / "bounding_boxes.txt").read_text().splitlines():
        identity, _, _, width, height = line.split()
        areas[f"images/{paths[identity]}"] = float(width) * float(height)
    for index in range(0, len(birds.test), 10):
        drawn = int(birds.test[index].foreground.sum())
        assert drawn == pytest.approx(areas[birds.test.names[index]], rel=0.05)


def test_foreground_differs_in_colour_from_the_rest(leeds):
    """A shifted or turned mask would not."""
    better = 0
    for index in range(60):
        sample = leeds.test[index]
        image, mask = sample.image.float(), sample.foreground.as_subclass(torch.Tensor)
        right, wrong = (contrast(image, m) for m in (mask, mask.flip(-1).flip(-2).roll(40, -1)))
        better += right > wrong
    assert better > 45


def contrast(image, mask):
    """Share of the colours' variance that lies between foreground and background."""
    inside, outside = image[:, mask[0]], image[:, ~mask[0]]
    weight = mask.float().mean()
    difference = (inside.mean(1) - outside.mean(1)).square().sum()
    return float(weight * (1 - weight) * difference / image.flatten(1).var(1).sum())


@pytest.mark.parametrize("folder", ["leeds_butterfly", "cub_200_2011_20cls"])
def test_check_finds_no_problem(folder, shared_data, capsys):
    assert main(["data", "check", str(shared_data / folder)]) == 0
    assert "no problem" in capsys.readouterr().out


def test_birds_are_read_as_cub200_too(shared_data, birds):
    """The official layout, with 20 of its classes."""
    named = open_data("cub200", root=shared_data / "cub_200_2011_20cls")
    assert named.description == birds.description
