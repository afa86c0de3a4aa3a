"""The one call: targets, options, normalisation, bad input."""

import pytest
import torch
from torch import nn

from helpers.examples import TinyNet, example
from sib.explain import (
    METHODS,
    attribute,
    attribute_all,
    available_methods,
    default_methods,
    normalize_maps,
    unavailable_methods,
)


@pytest.fixture
def tiny():
    return TinyNet().eval(), torch.randn(3, 3, 8, 10)


@pytest.mark.parametrize("method", METHODS)
def test_shape_type_and_no_gradient(tiny, method):
    model, images = tiny
    found = attribute(model.double(), images.double(), method=method)
    assert found.shape == (3, 8, 10) and found.dtype == torch.float32
    assert found.is_contiguous() and not found.requires_grad
    assert (found.amax(dim=(1, 2)) > 0).any()


@pytest.mark.parametrize("method", METHODS)
def test_an_image_does_not_depend_on_its_neighbours(tiny, method):
    model, images = tiny
    alone = torch.cat([attribute(model, image[None], method=method) for image in images])
    torch.testing.assert_close(attribute(model, images, method=method), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_autograd_may_be_off_outside(tiny, method, context):
    model, images = tiny
    expected = attribute(model, images, 1, method)
    with context():
        found = attribute(model, images.clone(), 1, method)
        assert torch.is_inference_mode_enabled() == (context is torch.inference_mode)
    assert torch.equal(found, expected)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("method", METHODS)
def test_frozen_weights_are_no_obstacle(tiny, method):
    model, images = tiny
    expected = attribute(model, images, 1, method)
    assert torch.equal(attribute(model.requires_grad_(False), images, 1, method), expected)


def test_evaluation_mode_and_full_precision_are_used(tiny):
    model, images = tiny
    expected = attribute(model, images, 1, "saliency")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attribute(model.train(), images, 1, "saliency"), expected)


def test_targets_default_to_the_predicted_class(tiny):
    model, images = tiny
    predicted = model(images).argmax(dim=1)
    default = attribute(model, images, method="saliency")
    assert torch.equal(default, attribute(model, images, predicted, "saliency"))
    assert torch.equal(default, attribute(model, images, predicted.tolist(), "saliency"))
    assert not torch.equal(default, attribute(model, images, (predicted + 1) % 4, "saliency"))


def test_one_class_for_all(tiny):
    model, images = tiny
    expected = attribute(model, images, torch.tensor([2, 2, 2]), "input_x_gradient")
    assert torch.equal(attribute(model, images, 2, "input_x_gradient"), expected)


def test_smoothgrad_follows_its_seed(tiny):
    model, images = tiny
    first, again, other = (
        attribute(model, images, 1, "smoothgrad", seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_integrated_gradients_are_complete():
    """Their sum is the difference of the logits at the image and at the baseline."""
    model, images, targets = example("small_resnet")
    baseline = torch.full((1, 3, 1, 1), 0.5)
    maps = attribute(model, images, targets, "integrated_gradients", baseline=baseline, n_steps=300)
    with torch.no_grad():
        difference = model(images) - model(baseline.expand_as(images))
    expected = difference.gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(maps.sum(dim=(1, 2)), expected, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("chunk_size", [1, 5, 1000])
@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad"])
def test_chunks_change_nothing(tiny, method, chunk_size):
    model, images = tiny
    options = {"targets": 1, "method": method, "n_steps": 7, "n_samples": 6}
    expected = attribute(model, images, **options)
    found = attribute(model, images, **options, chunk_size=chunk_size)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_normalisations_by_hand():
    maps = torch.tensor([[[1.0, -4.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert torch.equal(normalize_maps(maps, "none"), maps)
    scaled = {name: normalize_maps(maps, name) for name in ("max", "sum", "percentile")}
    assert scaled["max"][0].tolist() == [[0.25, -1.0], [0.75, 0.0]]
    assert scaled["sum"][0].tolist() == [[0.125, -0.5], [0.375, 0.0]]
    assert scaled["percentile"][0].tolist() == [[0.25, -1.0], [0.75, 0.0]]
    assert all(not result[1].any() for result in scaled.values())


def test_percentile_cuts_the_outliers():
    maps = torch.arange(1.0, 201).reshape(1, 10, 20)
    found = normalize_maps(maps, "percentile").flatten()
    torch.testing.assert_close(found[:198], torch.arange(1.0, 199) / 198)
    assert found[198:].tolist() == [1.0, 1.0]
    lone = torch.zeros(1, 20, 20)
    lone[0, 0, 0] = 5.0
    assert normalize_maps(lone, "percentile").sum() == 1


def test_normalize_is_applied_and_off_by_default(tiny):
    model, images = tiny
    raw = attribute(model, images, method="saliency")
    found = attribute(model, images, method="saliency", normalize="max")
    torch.testing.assert_close(found, raw / raw.amax((1, 2), True))
    assert not torch.equal(found, raw)


class Gelu(nn.Sequential):
    """Nothing that is known, no ReLU."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.LazyLinear(4))


def test_available_methods(tiny):
    model, images = tiny
    assert available_methods(model, images) == list(default_methods())
    assert available_methods(model, images, METHODS) == list(METHODS)
    with torch.no_grad():
        gelu = Gelu()
        gelu(images)
    found = available_methods(gelu, images)
    reasons = unavailable_methods(gelu, images)
    assert set(default_methods()) - set(found) == set(reasons) == {"guided_backprop"}
    assert "this Gelu has none" in reasons["guided_backprop"]
    flat = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 4))
    assert "layer must be given for a Sequential" in unavailable_methods(flat, images)["gradcam"]
    assert set(attribute_all(gelu, images, methods=found)) == set(found)


@pytest.mark.parametrize("call", ["module", "function"])
def test_guided_backprop_is_refused_without_relu_modules(call):
    class Functional(nn.Module):
        def forward(self, x):
            x = nn.functional.gelu(x) if call == "module" else nn.functional.relu(x)
            return x.mean(dim=(2, 3))

    with pytest.raises(ValueError, match=r"F\.relu.*must be made an nn\.ReLU module"):
        attribute(Functional(), torch.randn(1, 3, 4, 4), method="guided_backprop")


def test_guided_backprop_tells_of_relus_it_cannot_guide(recwarn):
    model, images, _ = example("densenet121")
    with pytest.warns(UserWarning, match="1 of 121 ReLUs are called as functions"):
        attribute(model, images, method="guided_backprop")
    attribute(TinyNet(), images, method="guided_backprop")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "grad"}, "method must be one of saliency, .*rise; got 'grad'"),
        ({"normalize": "min"}, "normalize must be one of none, max"),
        ({"images": torch.zeros(3, 8, 8)}, r"images must be a non-empty \(B, C, H, W\)"),
        ({"images": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "images must be floating point"),
        ({"targets": 4}, "targets must be from 0 to 3"),
        ({"targets": [0, -1, 1]}, "targets must be from 0 to 3"),
        ({"targets": [0, 1]}, "targets must be None, one class or 3 classes"),
        ({"targets": torch.zeros(3)}, "as whole numbers; got torch.float32"),
        ({"n_steps": 0}, "n_steps must be a whole number of at least 1"),
        ({"n_samples": 2.5}, "n_samples must be a whole number"),
        ({"chunk_size": True}, "chunk_size must be a whole number"),
        ({"noise_level": 0.0}, "noise_level must be a finite number above 0"),
        ({"seed": "a"}, "seed must be a whole number"),
        ({"n_masks": 0}, "n_masks must be a whole number of at least 1"),
        ({"window": 1.5}, "stride must not exceed window, nor window 1"),
        ({"window": 0.1}, "got stride 0.125 and window 0.1"),
        ({"stride": 0}, "stride must be a finite number above 0"),
        ({"baseline": torch.zeros(2, 3, 8, 8)}, "baseline must be a number or broadcast"),
        ({"layer": "layer9"}, "layer must be a module of the model or its name; got 'layer9'"),
        ({"layer": nn.ReLU()}, "got a ReLU; candidates, last first: features"),
        ({"layer": "head"}, r"layer head must give a feature map \(B, C, h, w\), not \(B, 4\)"),
        ({"reshape": torch.squeeze}, "reshape can only be given together with layer"),
    ],
)
def test_bad_input_is_a_sentence(tiny, arguments, sentence):
    model, images = tiny
    with pytest.raises(ValueError, match=sentence):
        attribute(model, **{"images": images, **arguments})


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (["vjp", "x"], "methods must be one of"),
        ("vjp", "methods must be a list"),
        ([], "methods must be a list"),
    ],
)
def test_bad_lists_of_methods(tiny, methods, sentence):
    with pytest.raises(ValueError, match=sentence):
        attribute_all(*tiny, methods=methods)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (lambda x: x, r"model must give logits \(B, K\) with B = 3; got \(3, 3, 8, 10\)"),
        (lambda x: {"scores": x}, "got a dict with scores"),
        (lambda x: x.detach().mean((2, 3)), "differentiable at the images"),
    ],
)
def test_models_that_are_no_classifiers(tiny, output, sentence):
    class Other(nn.Module):
        def forward(self, x):
            return output(x)

    with pytest.raises(ValueError, match=sentence):
        attribute(Other(), tiny[1], method="saliency")


@pytest.mark.parametrize("normalize", ["max", "sum", "percentile"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_map_that_is_not_finite_stays_visible(normalize, bad):
    maps = torch.ones(2, 1, 200)
    maps[0, 0, 7] = bad
    scaled = normalize_maps(maps, normalize)
    assert scaled[0].isnan().all() and scaled[1].isfinite().all()


def test_sums_beyond_the_precision_of_the_map():
    maps = torch.full((1, 8, 8), 60000.0, dtype=torch.float16)  # their sum is no float16
    assert torch.equal(normalize_maps(maps, "sum"), torch.full_like(maps, 1 / 64))
