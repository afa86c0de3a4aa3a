"""The foreground on which both explanations agree."""

import pytest
import torch

from sib.functional.agreement import agreed_foreground


def test_the_pixels_where_both_are_large_are_the_foreground():
    R = torch.zeros(1, 1, 4, 4)
    R[0, 0, :2, :] = 3.0  # the upper half …
    R[0, 0, 2:, :] = 1.0
    evidence = torch.tensor([[1.0, 4.0], [2.0, 8.0]]).reshape(1, 1, 2, 2)  # … and the right one
    found = agreed_foreground(R, evidence, 1, area=0.25)
    # r is 9 above and 1 below; e grows from left to right, by less than 9 : 1 downwards
    expected = torch.zeros(4, 4)
    expected[:2, 2:] = 1
    assert torch.equal(found[0, 0], expected)


@pytest.mark.parametrize("area", [0.1, 0.2, 0.5])
def test_its_area_is_the_one_asked_for(area):
    generator = torch.Generator().manual_seed(0)
    R = torch.randn(3, 3, 20, 20, generator=generator)
    evidence = torch.rand(3, 1, 5, 5, generator=generator)
    found = agreed_foreground(R, evidence, 3, area)
    assert found.shape == (3, 1, 20, 20)
    assert found.mean(dim=(1, 2, 3)).tolist() == pytest.approx([area] * 3)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_no_scale_changes_it(scale):
    generator = torch.Generator().manual_seed(0)
    R = torch.randn(2, 3, 12, 12, generator=generator)
    evidence = torch.rand(2, 1, 3, 3, generator=generator)
    expected = agreed_foreground(R, evidence, 3)
    assert torch.equal(agreed_foreground(scale * R, scale * evidence, 3), expected)


def test_without_evidence_there_is_no_foreground_and_no_gradient():
    R = torch.randn(1, 3, 8, 8, requires_grad=True)
    found = agreed_foreground(R, torch.zeros(1, 1, 2, 2), 3)
    assert not found.any() and not found.requires_grad


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="window_size must not exceed the image"):
        agreed_foreground(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 2, 2), 5)
