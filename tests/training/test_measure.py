"""What is measured on a split, against hand-made cases."""

import math

import pytest
import torch
from torch import nn

from sib.data.sample import Batch
from sib.functional import reconstruct
from sib.metrics import foreground_energy
from sib.training.validation import decision_vjp, measure


def test_foreground_energy_by_hand():
    """Positive part 1 + 2 + 3 + 4 = 10, inside 2 + 3 = 5; then all inside; then none."""
    attribution = torch.tensor([[[1.0, 2.0, -9.0], [3.0, 4.0, 0.0], [0.0, 0.0, -1.0]]]).repeat(
        3, 1, 1
    )
    foreground = torch.zeros(3, 3, 3, dtype=torch.bool)
    foreground[0, 0, 1:] = foreground[0, 1, 0] = True
    foreground[1] = True
    foreground[2, 2] = True
    assert foreground_energy(attribution, foreground).tolist() == [0.5, 1.0, 0.0]


def test_foreground_energy_is_nan_without_foreground_or_attribution():
    attribution = torch.stack([torch.ones(2, 2), torch.zeros(2, 2), -torch.ones(2, 2)])
    foreground = torch.tensor([[[False]], [[True]], [[True]]]).expand(3, 2, 2)
    assert all(math.isnan(value) for value in foreground_energy(attribution, foreground))


@pytest.mark.parametrize(
    ("attribution", "foreground", "sentence"),
    [
        (torch.ones(2, 3, 3), torch.ones(2, 3, 4, dtype=torch.bool), "must both have shape"),
        (torch.ones(3, 3), torch.ones(3, 3, dtype=torch.bool), "must both have shape"),
        (torch.ones(2, 3, 3), torch.ones(2, 3, 3), "foreground must be bool"),
    ],
)
def test_foreground_energy_refuses_what_does_not_fit(attribution, foreground, sentence):
    with pytest.raises(ValueError, match=sentence):
        foreground_energy(attribution, foreground)


def test_decision_vjp_is_the_reconstruction_up_to_each_images_scale():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    images = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    R = reconstruct(model(images), images, create_graph=False)
    V = decision_vjp(model(images), images)
    ratio = (V / R).flatten(1)
    assert (ratio > 0).all()
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-9, atol=0)


def test_decision_vjp_keeps_its_direction_where_a_network_is_certain():
    """At a margin of 30 the largest float32 probability is 1, and its share of R is lost."""
    weight, offset = torch.randn(3, 12).double(), torch.tensor([30.0, 0.0, 0.0]).double()
    images = torch.randn(2, 3, 2, 2, dtype=torch.float64)

    def cosine_to_exact(vjp):
        rows = []
        for dtype, function in ((torch.float64, reconstruct), (torch.float32, vjp)):
            x = images.to(dtype).requires_grad_()
            logits = x.flatten(1) @ weight.to(dtype).T * 0.1 + offset.to(dtype)
            row = function(logits, x).detach().double().flatten(1)
            rows.append(row / row.abs().amax(dim=1, keepdim=True))
        return torch.cosine_similarity(*rows).min()

    assert cosine_to_exact(decision_vjp) > 0.999999
    assert cosine_to_exact(reconstruct) < 0.99


class BrightSide(nn.Module):
    """Class 1 where the left half is brighter; looks at the left half only."""

    def forward(self, x):
        left = x[..., : x.shape[-1] // 2].mean(dim=(1, 2, 3))
        return torch.stack([-left, left], dim=1)


def test_measure_by_hand():
    images = torch.full((4, 3, 2, 4), 200, dtype=torch.uint8)
    images[2:] = 50
    foreground = torch.zeros(4, 1, 2, 4, dtype=torch.bool)
    foreground[0, ..., :2] = True  # all energy inside
    foreground[1, ..., 2:] = True  # all outside
    foreground[2, ..., :, 1] = True  # half inside; the last image is not annotated
    batch = Batch(
        images, torch.tensor([1, 1, 1, 0]), foreground, torch.tensor([1, 1, 1, 0]).bool(), ["x"] * 4
    )
    model = BrightSide().train()
    found = measure(model, [batch], torch.device("cpu"), "half")
    assert found.accuracy == 0.75 and found.images == 4 and found.annotated == 3
    assert found.foreground_energy == pytest.approx(0.5)
    assert found.foreground_share == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    assert model.training


def test_measure_gives_every_module_its_own_mode_back():
    """A part that is kept in evaluation mode during training stays there."""
    model = nn.Sequential(BrightSide().eval()).train(False)
    model.training = True
    batch = Batch(
        torch.zeros(1, 3, 2, 4, dtype=torch.uint8),
        torch.tensor([0]),
        torch.ones(1, 1, 2, 4, dtype=torch.bool),
        torch.tensor([True]),
        ["x"],
    )
    measure(model, [batch], torch.device("cpu"), "half")
    assert model.training and not model[0].training
