"""The model, the images and the random numbers after an explanation."""

import pytest
import torch

from helpers.examples import TinyNet
from sib.explain import METHODS, attribute, method_family

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
)


def state(model, images):
    """All that must not change."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(getattr(m, kind)) for m in model.modules() for kind in HOOKS],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "values": {name: value.tolist() for name, value in model.state_dict().items()},
        "images": (
            images.requires_grad,
            None if images.grad is None else images.grad.tolist(),
            images.tolist(),
            images._version,
        ),
        "random numbers": torch.get_rng_state().tolist(),
        "autograd": torch.is_grad_enabled(),
    }


@pytest.fixture(params=[False, True], ids=["plain images", "images with a gradient"])
def found(request):
    """A model in a mixed state, as training leaves one."""
    model, images = TinyNet().train(), torch.randn(2, 3, 8, 8)
    model.features[1].eval()
    model.head.bias.requires_grad_(False)
    model.features[0].weight.grad = torch.randn_like(model.features[0].weight)
    model.features[3].register_forward_hook(lambda module, inputs, output: None)
    if request.param:
        images.requires_grad_().grad = torch.randn_like(images)
    return model, images


@pytest.mark.parametrize("method", METHODS)
def test_nothing_changes(found, method):
    model, images = found
    before = state(model, images)
    assert attribute(model, images, method=method).shape == (2, 8, 8)
    assert state(model, images) == before


@pytest.mark.parametrize(
    ("method", "moment"),
    [(method, "first forward") for method in METHODS]
    + [(method, "backward") for method in METHODS if method_family(method) != "perturbation"],
)
def test_nothing_changes_when_the_model_raises(found, method, moment):
    model, images = found
    if moment == "backward":
        model.bomb.backward = True
        # a class activation map's backward pass ends at its layer
        options = {"layer": "features.0"} if method in ("gradcam", "gradcam_pp", "layercam") else {}
    else:
        model.bomb.forward_passes_left, options = 0, {}
    before = state(model, images)
    with pytest.raises(FloatingPointError, match=moment.split()[-1]):
        attribute(model, images, method=method, **options)
    assert state(model, images) == before


@pytest.mark.parametrize(
    "method", ["integrated_gradients", "smoothgrad", "guided_backprop", "occlusion", "rise"]
)
def test_nothing_changes_when_a_later_pass_raises(found, method):
    model, images = found
    model.bomb.forward_passes_left = 1
    before = state(model, images)
    with pytest.raises(FloatingPointError, match="forward"):
        attribute(model, images, method=method)
    assert state(model, images) == before
