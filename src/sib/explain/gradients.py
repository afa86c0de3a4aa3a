"""Gradients at the image, by captum."""

import torch
from captum.attr import IntegratedGradients, Saliency
from torch import Tensor, nn


def input_gradient(logits: Tensor, images: Tensor, targets: Tensor) -> Tensor:
    """∂z_t/∂x (B, C, H, W), signed, from a forward pass that was already made; frees its graph."""
    # captum would run the model again; here the forward function hands out what it gave.
    saliency = Saliency(lambda _: logits)
    return saliency.attribute(images, target=targets, abs=False)


def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    baseline: float | Tensor,
    n_steps: int,
    chunk_size: int,
) -> Tensor:
    """(x − x′) ∘ ∫₀¹ ∂z_t/∂x (x′ + α(x − x′)) dα (B, C, H, W), by Gauss-Legendre quadrature.

    Images go through the model in groups of about ``chunk_size`` points of all paths together.
    """
    method = IntegratedGradients(model)
    group = max(1, chunk_size // n_steps)
    if isinstance(baseline, Tensor):
        baseline = baseline.to(images).expand_as(images)
    parts = []
    for start in range(0, len(images), group):
        rows = slice(start, start + group)
        part = method.attribute(
            images[rows].detach(),
            baselines=baseline[rows] if isinstance(baseline, Tensor) else baseline,
            target=targets[rows],
            n_steps=n_steps,
            internal_batch_size=chunk_size if n_steps > chunk_size else None,
        )
        parts.append(part)
    return torch.cat(parts)


def smoothgrad(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    n_samples: int,
    noise_level: float,
    seed: int,
    chunk_size: int,
) -> Tensor:
    """Mean over n of ∂z_t/∂x (x + σε_n) (B, C, H, W), σ a share of each image's own range.

    captum's NoiseTunnel draws from the global generator, other noise for each image, and takes
    one σ for all; so captum's Saliency gets images that are noisy already. All see the same ε.
    """
    method = Saliency(model)
    images = images.detach()
    generator = torch.Generator(images.device).manual_seed(seed)
    shape = (n_samples, *images.shape[1:])
    noise = torch.randn(shape, generator=generator, device=images.device, dtype=images.dtype)
    sigma = noise_level * (images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3)))
    copies = [(image, sample) for image in range(len(images)) for sample in range(n_samples)]
    total = torch.zeros_like(images)
    for start in range(0, len(copies), chunk_size):
        rows, samples = torch.tensor(copies[start : start + chunk_size], device=images.device).T
        noisy = images[rows] + sigma[rows, None, None, None] * noise[samples]
        gradient = method.attribute(noisy.requires_grad_(), target=targets[rows], abs=False)
        total.index_add_(0, rows, gradient)
    return total / n_samples
