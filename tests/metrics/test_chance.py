"""Energy by chance and over chance: by hand, properties, what is refused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sib.explain import attribute
from sib.metrics import (
    centre_energy,
    chance_corrected,
    energy_gain,
    energy_gain_over_centre,
    energy_gain_over_untrained,
    even_energy,
    foreground_energy,
    randomised_copy,
)

QUARTER = torch.tensor([[[True, False], [False, False]]])


def test_by_hand():
    """Energy 0.7 on a quarter of the area: (0.7 − 0.25) / 0.75."""
    maps = torch.tensor([[[7.0, 3.0], [0.0, -5.0]]])
    assert even_energy(QUARTER).item() == 0.25
    assert centre_energy(QUARTER).item() == pytest.approx(0.25)  # four pixels, all as far
    assert energy_gain(maps, QUARTER).item() == pytest.approx(0.45 / 0.75)
    assert energy_gain(0 * maps + 1, QUARTER).item() == 0
    assert energy_gain((~QUARTER).float(), QUARTER).item() == pytest.approx(-0.25 / 0.75)


def test_the_centre_prior_against_a_loop():
    foreground = torch.rand(3, 5, 8) < 0.4
    for width in (0.1, 0.25, 2.0):
        expected = []
        for mask in foreground:
            inside = total = 0.0
            for i in range(5):
                for j in range(8):
                    y, x = (i + 0.5) / 5 - 0.5, (j + 0.5) / 8 - 0.5
                    weight = math.exp(-(y * y + x * x) / (2 * width**2))
                    total += weight
                    inside += weight * mask[i, j].item()
            expected.append(inside / total)
        assert centre_energy(foreground, width=width).tolist() == pytest.approx(expected, rel=1e-5)
    assert centre_energy(foreground, width=100.0).tolist() == pytest.approx(
        even_energy(foreground).tolist(), rel=1e-4
    )


@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_gain_is_the_corrected_energy(seed, share):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(4, 6, 7, generator=generator)
    foreground = torch.rand(4, 6, 7, generator=generator) < share
    energy = foreground_energy(maps, foreground)
    for gain, chance in (
        (energy_gain(maps, foreground), even_energy(foreground)),
        (energy_gain_over_centre(maps, foreground), centre_energy(foreground)),
    ):
        known = ~gain.isnan()
        assert torch.equal(known, foreground.flatten(1).any(1) & ~foreground.flatten(1).all(1))
        assert (gain[known] <= 1).all()
        assert ((gain > 0) == (energy > chance))[known & ((energy - chance).abs() > 1e-6)].all()
        torch.testing.assert_close(
            (gain * (1 - chance) + chance)[known], energy[known], rtol=1e-4, atol=1e-4
        )


def test_no_value():
    maps = torch.ones(3, 2, 2)
    foreground = torch.stack([QUARTER[0], ~QUARTER[0] | True, QUARTER[0] & False])
    for gain in (energy_gain, energy_gain_over_centre):
        assert gain(maps, foreground).isnan().tolist() == [False, True, True]
    assert even_energy(foreground)[:2].tolist() == [0.25, 1] and even_energy(foreground)[2].isnan()
    assert chance_corrected(torch.ones(1), torch.ones(1)).isnan()


def test_correction_has_the_right_gradient():
    values = torch.rand(4, dtype=torch.float64, requires_grad=True)
    chance = torch.rand(4, dtype=torch.float64) / 2
    (gradient,) = torch.autograd.grad(chance_corrected(values, chance).sum(), values)
    torch.testing.assert_close(gradient, 1 / (1 - chance), rtol=1e-6, atol=0)


def test_gain_over_an_untrained_network():
    """Against the copy and its map, written out; only the drawn parameters change it."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    net = nn.Sequential(net, nn.Linear(4 * 36, 3)).eval()
    images, foreground = torch.randn(4, 3, 8, 8), torch.rand(4, 8, 8) < 0.4
    targets = torch.tensor([0, 1, 2, 0])
    maps = attribute(net, images, targets, "saliency")
    found = energy_gain_over_untrained(net, images, maps, targets, foreground, "saliency", seed=3)
    twin = randomised_copy(net, 3)
    for mine, drawn in zip(net.parameters(), twin.parameters(), strict=True):
        assert not torch.equal(mine, drawn) or mine.std() == 0
    for mine, kept in zip(net.buffers(), twin.buffers(), strict=True):
        assert torch.equal(mine, kept)
    chance = foreground_energy(attribute(twin, images, targets, "saliency"), foreground)
    energy = foreground_energy(maps, foreground)
    torch.testing.assert_close(found, (energy - chance) / (1 - chance))
    other = energy_gain_over_untrained(net, images, maps, targets, foreground, "saliency", seed=4)
    assert not torch.allclose(found, other)
    same = attribute(twin, images, targets, "saliency")
    zero = energy_gain_over_untrained(net, images, same, targets, foreground, "saliency", seed=3)
    torch.testing.assert_close(zero, torch.zeros(4), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="targets must be the classes that the maps explain"):
        energy_gain_over_untrained(net, images, maps, None, foreground, "saliency")


def test_bad_input():
    with pytest.raises(ValueError, match=r"foreground must be a non-empty bool \(B, H, W\); got"):
        even_energy(torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="foreground must be a non-empty bool"):
        centre_energy(torch.ones(2, 2).bool())
    with pytest.raises(ValueError, match="width must be a finite number above 0; got 0"):
        energy_gain_over_centre(torch.ones(1, 2, 2), QUARTER, width=0)
    with pytest.raises(ValueError, match=r"values and chance must have one shape; got \(1,\) and"):
        chance_corrected(torch.ones(1), torch.ones(2))
