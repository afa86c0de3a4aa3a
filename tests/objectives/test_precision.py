"""S-IB in half precision and under autocast."""

import pytest
import torch
import torch.nn.functional as F

import sib
from helpers.tasks import batch
from sib.models import SmallResNet


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_are_computed_in_float32_after_the_logits(dtype):
    images, labels = batch(dtype=dtype)
    task = sib.SpatialIBTask(SmallResNet(5, 8).to(dtype), sib.SpatialIB(window_size=9))
    terms = task(images, labels).terms
    found = (*terms.values.values(), *terms.weighted.values(), terms.mask, terms.reconstruction)
    assert {t.dtype for t in found} == {torch.float32}
    assert all(t.isfinite().all() for t in found) and terms.background > 0


def test_bfloat16_autocast_stays_near_float32():
    images, labels = batch(size=8)
    model = SmallResNet(5, 8)
    task = sib.SpatialIBTask(model, sib.SpatialIB(window_size=9))
    exact = task(images, labels).terms
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = task(images, labels).terms
    assert rough.reconstruction.dtype == torch.float32
    cosine = F.cosine_similarity(exact.reconstruction.flatten(), rough.reconstruction.flatten(), 0)
    assert cosine > 0.98


def test_float16_scales_the_inner_gradient():
    """A VJP near 1e-6 lies under float16's smallest normal number; unscaled it would be noise."""
    images, _ = batch(side=16)
    weight = torch.randn(5, 3 * 256) * 1e-5
    exact = images.clone().requires_grad_(True)
    R = sib.functional.reconstruct(exact.flatten(1) @ weight.T, exact)
    half = images.half().requires_grad_(True)
    logits = half.flatten(1) @ weight.half().T
    torch.testing.assert_close(
        sib.functional.reconstruct(logits, half) / R.abs().max(),
        R / R.abs().max(),
        rtol=0,
        atol=0.05,
    )


def test_float32_logits_of_a_float16_model_lose_nothing():
    images, _ = batch(side=16)
    weight = torch.randn(5, 3 * 256) * 1e-4
    exact = images.clone().requires_grad_(True)
    R = sib.functional.reconstruct(exact.flatten(1) @ weight.T, exact)
    x = images.clone().requires_grad_(True)
    logits = (x.half().flatten(1) @ weight.half().T).float()
    error = (sib.functional.reconstruct(logits, x) - R).norm() / R.norm()
    assert error < 0.01
