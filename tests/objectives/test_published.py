"""Options of the published objective."""

import pytest
import torch

import sib
from helpers.tasks import batch, gradients, strong
from sib.models import SmallResNet


def test_the_forms_report_the_same_information_near_the_start():
    """exp − 1 ≈ its argument: the losses differ from the linear form by second order only."""
    images, labels = batch(dtype=torch.float64)
    model = SmallResNet(5, 8).double()
    linear = sib.SpatialIBTask(model, sib.SpatialIB(window_size=9))(images, labels).terms
    exp = sib.SpatialIBTask(model, sib.SpatialIB(window_size=9, form="exp"))(images, labels).terms
    expected = 0.01 * (torch.exp(-linear.foreground) - 1) + 1000 * torch.expm1(linear.background)
    torch.testing.assert_close(exp.loss, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    "options",
    [
        {"mask": "hard"},
        {"mask": "centred"},
        {"mask": "area", "area": 0.3},
        {"alignment": "ssim"},
        {"background": "hsic"},
        {"background": "magnitude"},
        {"cotangent": "logits"},
        {"estimator": "unbiased"},
        {"projection_dim": 16},
        {"count_include_pad": False},
    ],
    ids=str,
)
def test_each_option_trains_and_differs_from_the_default(options):
    images, labels = batch()
    model = SmallResNet(5, 8)
    default = sib.SpatialIBTask(model, strong())(images, labels)
    task = sib.SpatialIBTask(model, strong(**options))
    out = task(images, labels)
    task.backward(out.loss)
    assert all(gradient.isfinite().all() for gradient in gradients(model))
    assert out.terms.loss.item() != default.terms.loss.item()


def test_the_projection_follows_its_generator():
    images, labels = batch()
    model = SmallResNet(5, 8)

    def loss(seed):
        generator = torch.Generator().manual_seed(seed)
        objective = strong(projection_dim=16, generator=generator)
        return sib.SpatialIBTask(model, objective)(images, labels).terms.foreground.item()

    assert loss(0) == loss(0) != loss(1)


def test_options_can_be_changed_and_take_effect():
    images, labels = batch()
    objective = strong()
    task = sib.SpatialIBTask(SmallResNet(5, 8), objective)
    before = task(images, labels).terms.mask
    objective.window_size = 3
    assert not torch.equal(task(images, labels).terms.mask, before)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"foreground_weight": -1}, "foreground_weight"),
        ({"background_weight": float("nan")}, "background_weight"),
        ({"temperature": 0}, "temperature"),
        ({"slope": -1}, "slope"),
        ({"window_size": 0}, "window_size"),
        ({"window_size": 3.5}, "window_size must be a whole number"),
        ({"window_size": "31"}, "window_size must be a whole number"),
        ({"slope": "10"}, "slope must be a finite number"),
        ({"projection_dim": 0}, "projection_dim"),
        ({"form": "square"}, "form must be one of linear, exp"),
        ({"mask": "round"}, "mask must be one of"),
        ({"alignment": "l2"}, "alignment must be one of"),
        ({"background": "l2"}, "background must be one of"),
        ({"cotangent": "odds"}, "cotangent must be one of"),
        ({"estimator": "best"}, "estimator must be one of"),
        ({"area": 1.0}, "area"),
    ],
)
def test_bad_options_are_told_when_the_objective_is_made(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        sib.SpatialIB(**options)
