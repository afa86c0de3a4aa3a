"""The sanity check: rank correlation, the cascade, and what it tells of maps."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from sib.metrics import parameter_randomisation, rank_correlation
from sib.models import build


def test_rank_correlation_equals_scipys():
    first, second = torch.randn(5, 6, 7), torch.randn(5, 6, 7)
    first[0], second[1] = first[0].round(), second[1].relu()  # ties
    second[2], second[3] = first[2].exp(), -first[3]
    expected = [
        spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(first, second, strict=True)
    ]
    assert rank_correlation(first, second).tolist() == pytest.approx(expected, abs=1e-6)
    assert expected[2] == pytest.approx(1) and expected[3] == pytest.approx(-1)


def test_a_constant_map_has_no_rank_correlation():
    assert rank_correlation(torch.ones(1, 2, 2), torch.rand(1, 2, 2)).isnan().all()


@pytest.fixture
def small():
    return build("small_resnet", 4, 32), torch.randn(3, 3, 32, 32)


def test_the_cascade_goes_from_the_head_to_the_stem(small):
    model, images = small
    modules = [n for n, m in model.named_modules() if list(m.parameters(recurse=False))]
    found = parameter_randomisation(model, images, method="vjp", comparisons=1000)
    assert found.layers == modules[::-1]
    assert found.layers[0] == "head" and found.layers[-1] == "stem.0"
    assert found.correlation.shape == (len(modules), 3)
    few = parameter_randomisation(model, images, method="vjp", comparisons=3)
    kept = [found.layers.index(name) for name in few.layers]
    assert len(kept) == 3 and kept[-1] == len(modules) - 1 and kept == sorted(kept)
    torch.testing.assert_close(few.correlation, found.correlation[kept])


def test_maps_of_the_model_change_and_those_of_the_image_alone_do_not():
    """The gradient of a linear model is its weights; times the image's own edges it stays put."""

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3, 8, 8))

        def forward(self, x):
            return torch.einsum("bchw,kchw->bk", x, self.weight)

    class ImageAlone(Linear):
        """Its gradient at the image is the image, scaled by one weight."""

        def forward(self, x):
            scale = self.weight.flatten(1)[:, 0].square()
            return x.square().sum(dim=(1, 2, 3))[:, None] * scale

    images = torch.randn(4, 3, 8, 8)
    about_model = parameter_randomisation(Linear(), images, 0, "saliency").correlation
    about_image = parameter_randomisation(ImageAlone(), images, 0, "saliency").correlation
    assert about_model.abs().max() < 0.5
    assert about_image.min() > 0.999


def test_the_explained_class_stays_that_of_the_whole_model(small):
    model, images = small
    predicted = model.eval()(images).argmax(dim=1)
    default = parameter_randomisation(model, images, method="saliency", comparisons=2)
    named = parameter_randomisation(model, images, predicted, "saliency", comparisons=2)
    assert torch.equal(default.correlation, named.correlation)


def test_the_model_and_the_random_numbers_are_left_as_found(small):
    model, images = small
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    numbers = torch.get_rng_state()
    first = parameter_randomisation(model, images, method="layercam", comparisons=2, seed=3)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    again = parameter_randomisation(model, images, method="layercam", comparisons=2, seed=3)
    other = parameter_randomisation(model, images, method="layercam", comparisons=2, seed=4)
    assert torch.equal(first.correlation, again.correlation)
    assert not torch.equal(first.correlation, other.correlation)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"comparisons": 0}, "comparisons must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"layer": nn.ReLU()}, "layer must be a name here"),
        ({"method": "lime"}, "method must be one of"),
        ({"targets": 9}, "targets must be from 0 to 3"),
        ({"images": torch.zeros(3, 8, 8)}, "images must be a non-empty"),
    ],
)
def test_bad_input(small, arguments, sentence):
    model, images = small
    with pytest.raises(ValueError, match=sentence):
        parameter_randomisation(model, **{"images": images, **arguments})


def test_a_model_without_parameters_is_refused():
    class Means(nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3))

    with pytest.raises(ValueError, match="model must have parameters to randomise; got a Means"):
        parameter_randomisation(Means(), torch.randn(2, 3, 4, 4), method="saliency")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_rank_correlation_of_a_map_that_is_not_finite(bad):
    first = torch.tensor([[[1.0, 2.0, 3.0]], [[bad, 2.0, 3.0]]])
    second = torch.tensor([[[1.0, 2.0, 3.0]]]).expand(2, 1, 3)
    for pair in ((first, second), (second, first)):
        assert rank_correlation(*pair).isnan().tolist() == [False, True]
