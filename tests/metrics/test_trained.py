"""What the measures say of networks that read the digit, the background, or nothing."""

import pytest
import torch
import torch.nn.functional as F

from sib.data import open_data
from sib.explain import attribute_all, default_methods
from sib.metrics import MAP_MEASURES
from sib.models import SmallResNet, build

METHODS = (*default_methods(), "occlusion")
MEASURES = [name for name, measure in MAP_MEASURES.items() if measure.needs_foreground]


def stacked(source):
    """All images in [−1, 1], labels and foregrounds of a split."""
    samples = [source[index] for index in range(len(source))]
    images = torch.stack([sample.image.as_subclass(torch.Tensor) for sample in samples])
    foregrounds = torch.stack(
        [sample.foreground[0].as_subclass(torch.Tensor) for sample in samples]
    )
    return images.float() / 127.5 - 1, torch.tensor(source.labels), foregrounds


def trained(strength):
    """A small network after two passes over 1,260 images."""
    torch.manual_seed(0)
    data = open_data("digits", background_strength=strength, train_size=1400, test_size=10)
    images, labels, _ = stacked(data.train)
    model = SmallResNet(10, 8)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(2):
        for rows in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    return model


@pytest.fixture(scope="module")
def test_images():
    data = open_data("digits", background_strength=0.0, train_size=20, test_size=40)
    images, _, foregrounds = stacked(data.test)
    return images, foregrounds


@pytest.fixture(scope="module")
def scores(test_images):
    """Mean of each measure for each method: the digit's reader, the background's reader."""
    images, foregrounds = test_images
    found = []
    for strength in (0.0, 1.0):
        maps = attribute_all(trained(strength), images, None, METHODS, n_steps=4, n_samples=4)
        found.append(
            {
                (method, name): MAP_MEASURES[name].function(maps[method], foregrounds).nanmean()
                for method in METHODS
                for name in MEASURES
            }
        )
    return found


@pytest.mark.filterwarnings("ignore:guided_backprop")
@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("method", METHODS)
def test_reading_the_digit_and_reading_the_background_are_told_apart(scores, method, name):
    """By a factor of 1.5 in the right direction; Grad-CAM's 6 × 6 cells blur the most."""
    digit, background = (score[method, name].item() for score in scores)
    better, worse = digit, background
    if not MAP_MEASURES[name].higher_is_better:
        better, worse = background, digit
    assert better > 1.5 * worse


def test_a_random_network_scores_the_share_of_the_area(test_images):
    """Its gradients do not prefer the digit: the mean over five networks is within a fifth."""
    images, foregrounds = test_images
    share = foregrounds.float().mean().item()
    energies = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = build("small_resnet", 10, 48)
        maps = attribute_all(model, images, methods=["saliency", "vjp", "layercam"])
        measure = MAP_MEASURES["energy_pointing_game"].function
        energies.append([measure(one, foregrounds).nanmean() for one in maps.values()])
    mean = torch.tensor(energies).mean(dim=0)
    assert ((mean / share - 1).abs() < 0.2).all(), (mean, share)
