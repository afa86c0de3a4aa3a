"""The foreground whose colours the VJP favours."""

import pytest
import torch

from sib.functional.appearance import appearance_foreground


def random_case(channels=3, side=20, size=3):
    generator = torch.Generator().manual_seed(0)
    R = torch.randn(size, 3, side, side, generator=generator)
    return R, torch.rand(size, channels, side, side, generator=generator)


def test_what_one_part_of_a_colour_earns_all_of_it_gets():
    images = torch.zeros(1, 3, 4, 4)
    images[0, 0, :, 2:] = 1.0  # the right half is red, the left one black
    R = torch.ones(1, 1, 4, 4)
    R[0, 0, 0, 3] = 10.0  # and R is large at one red pixel alone
    found = appearance_foreground(R, images, 1, area=0.5)
    assert torch.equal(found[0, 0], images[0, 0])


def test_the_mean_of_a_colour_counts_and_not_its_sum():
    images = torch.ones(1, 1, 10, 10)
    images[0, 0, :2] = 0.0  # 20 dark pixels, 80 light ones
    R = torch.ones(1, 1, 10, 10)
    R[0, 0, :2] = 2.0  # 40 in the dark, 80 in the light
    found = appearance_foreground(R, images, 1, area=0.2)
    assert torch.equal(found, 1 - images)


def test_a_single_pixel_of_a_rare_colour_decides_nothing():
    images = torch.zeros(1, 3, 10, 10)
    images[0, 0, :2] = 0.5  # a region on which R is 2 throughout
    images[0, 1, 9, 9] = 1.0  # and one pixel on which it is 3
    R = torch.ones(1, 1, 10, 10)
    R[0, 0, :2], R[0, 0, 9, 9] = 2.0, 3.0
    found = appearance_foreground(R, images, 1, area=0.2)
    # ā = (20 · 2 + 5 · 1.22) / 25 = 1.844 in the region, (3 + 5 · 1.22) / 6 = 1.517 on the pixel
    assert found[0, 0, :2].all() and found[0, 0, 2:].sum() == 0


@pytest.mark.parametrize("area", [0.1, 0.2, 0.5])
def test_its_area_is_the_one_asked_for(area):
    R, images = random_case()
    found = appearance_foreground(R, images, 3, area)
    assert found.shape == (3, 1, 20, 20)
    assert found.mean(dim=(1, 2, 3)).tolist() == pytest.approx([area] * 3, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_no_scale_of_R_and_no_normalisation_of_the_images_changes_it(channels):
    R, images = random_case(channels)
    expected = appearance_foreground(R, images, 3)
    assert expected.any()
    assert torch.equal(appearance_foreground(1e-25 * R, images, 3), expected)
    assert torch.equal(appearance_foreground(1e25 * R, 4 * images - 2, 3), expected)


def test_images_do_not_see_each_other():
    R, images = random_case()
    together = appearance_foreground(R, images, 3)
    alone = [appearance_foreground(R[i : i + 1], images[i : i + 1], 3) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))


def test_without_R_there_is_no_foreground_and_no_gradient():
    R, images = torch.zeros(1, 3, 8, 8, requires_grad=True), torch.rand(1, 3, 8, 8)
    found = appearance_foreground(R, images, 3)
    assert not found.any() and not found.requires_grad


def test_within_one_colour_R_decides():
    R = torch.ones(1, 1, 4, 4)
    R[0, 0, :, 2:] = 2.0
    found = appearance_foreground(R, torch.full((1, 3, 4, 4), 0.3), 1, area=0.5)
    assert torch.equal(found, (R > 1).to(found))


@pytest.mark.parametrize("side", [112, 224])
def test_a_constant_is_told_from_rounding(side):
    R, images = torch.full((1, 3, side, side), 0.1), torch.full((1, 3, side, side), 0.3)
    assert not appearance_foreground(R, images, 31).any()


def test_a_plain_surface_that_R_favours_is_cut_where_R_is_strongest():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 112, 112, generator=generator)
    images[:, :, :60] = 1.0  # 54 % of the image
    R = 0.1 * torch.randn(1, 3, 112, 112, generator=generator)
    R[:, :, :60] += torch.linspace(1, 2, 112)  # rises to the right
    found = appearance_foreground(R, images, 15, area=0.2)
    assert found.mean().item() == pytest.approx(0.2, abs=1e-3)
    assert found[0, 0, :45, 80:].mean() > 0.95 and not found[0, 0, :45, :50].any()


@pytest.mark.parametrize(
    ("images", "window", "sentence"),
    [
        (torch.rand(1, 1, 4, 4), 5, "window_size must not exceed the image"),
        (torch.rand(2, 1, 4, 4), 1, "images must have the number and the size of R"),
        (torch.rand(1, 1, 4, 5), 1, "images must have the number and the size of R"),
        (torch.rand(1, 4, 4), 1, "images"),
    ],
)
def test_what_does_not_fit_is_refused(images, window, sentence):
    with pytest.raises(ValueError, match=sentence):
        appearance_foreground(torch.rand(1, 1, 4, 4), images, window)
