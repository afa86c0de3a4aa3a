"""Every explanation against captum's or torchcam's own result on the same layer."""

import pytest
import torch
import torch.nn.functional as F
from captum.attr import (
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import nn
from torchcam.methods import GradCAM, GradCAMpp, LayerCAM

from helpers.examples import LAYERS, SIDES, example
from sib.explain import attribute, attribute_all
from sib.functional import reconstruct

OPTIONS = {"n_steps": 6, "n_samples": 3, "seed": 11}


def assert_same(ours, theirs):
    """Equal to 1e-5 of the largest value, which is not zero."""
    largest = theirs.abs().max()
    assert largest > 0
    torch.testing.assert_close(ours / largest, theirs / largest, rtol=0, atol=1e-5)


def integrated_gradients(model, images, targets):
    return IntegratedGradients(model).attribute(images, target=targets, n_steps=6).sum(1)


def smoothgrad(model, images, targets):
    maps = []
    for image, target in zip(images.split(1), targets.tolist(), strict=True):
        torch.manual_seed(11)
        level = 0.15 * (image.max() - image.min()).item()
        method = NoiseTunnel(Saliency(model))
        maps.append(method.attribute(image, nt_samples=3, stdevs=level, target=target, abs=False))
    return torch.cat(maps).abs().sum(1)


CAPTUM = {
    "saliency": lambda m, x, t: Saliency(m).attribute(x, target=t).sum(1),
    "input_x_gradient": lambda m, x, t: InputXGradient(m).attribute(x, target=t).sum(1),
    "integrated_gradients": integrated_gradients,
    "smoothgrad": smoothgrad,
    "guided_backprop": lambda m, x, t: GuidedBackprop(m).attribute(x, target=t).abs().sum(1),
}
TORCHCAM = {"gradcam": GradCAM, "gradcam_pp": GradCAMpp, "layercam": LayerCAM}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", CAPTUM)
@pytest.mark.parametrize("name", SIDES)
def test_gradient_methods_equal_captums(name, method):
    if name == "vit_b_32" and method == "guided_backprop":
        pytest.skip("ViT has no ReLU")
    model, images, targets = example(name)
    ours = attribute(model, images, targets, method, **OPTIONS)
    assert_same(ours, CAPTUM[method](model, images.clone(), targets))


def drop_class_token(tokens):
    """(B, 1 + 4, C) → (B, C, 2, 2), written out for 64 pixels in patches of 32."""
    return torch.stack([tokens[:, 1:3], tokens[:, 3:5]], dim=1).movedim(-1, 1)


@pytest.mark.parametrize("method", TORCHCAM)
@pytest.mark.parametrize("name", SIDES)
def test_class_activation_maps_equal_torchcams(name, method):
    model, images, targets = example(name)
    reshape = drop_class_token if name == "vit_b_32" else None
    with TORCHCAM[method](model, LAYERS[name], reshape_transform=reshape) as extractor:
        logits = model(images.clone().requires_grad_())
        (coarse,) = extractor(targets.tolist(), logits, normalized=False)
    theirs = F.interpolate(coarse[:, None], images.shape[2:], mode="bilinear")[:, 0]
    assert_same(attribute(model, images, targets, method), theirs)


@pytest.mark.parametrize("name", SIDES)
def test_vjp_is_the_reconstruction_up_to_each_images_scale(name):
    model, images, _ = example(name)
    inputs = images.clone().requires_grad_()
    R = reconstruct(model(inputs), inputs, create_graph=False).abs().sum(1)
    ours = attribute(model, images, method="vjp", normalize="max")
    torch.testing.assert_close(ours, R / R.amax((1, 2), True), rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:guided_backprop")
@pytest.mark.parametrize("name", SIDES)
def test_all_at_once_equals_one_at_a_time(name):
    model, images, targets = example(name)
    methods = [*TORCHCAM, "vjp", *CAPTUM]
    if name == "vit_b_32":
        methods.remove("guided_backprop")
    together = attribute_all(model, images, targets, methods, **OPTIONS)
    assert list(together) == methods
    for method in methods:
        assert_same(together[method], attribute(model, images, targets, method, **OPTIONS))


def test_gradcam_pp_by_hand():
    """One channel with activations 1, 2 and gradients 3, 3: Σ g² ReLU(g) = 54, times A."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[2].weight.copy_(torch.tensor([[3.0, 3.0], [0.0, 0.0]]))
    images = torch.tensor([[[[1.0, 2.0]]]])
    found = attribute(model, images, 0, "gradcam_pp", layer="0")
    torch.testing.assert_close(found, torch.tensor([[[54.0, 108.0]]]))
