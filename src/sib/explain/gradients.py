"""Gradients at the image; captum computes integrated gradients and SmoothGrad."""

import torch
from torch import Tensor

from sib.explain.call import Call
from sib.functional.decision import decision_vjp
from sib.functional.label_kinds import kind_of
from sib.utils.optional import import_optional


def saliency(call: Call) -> Tensor:
    """Σ_c |∂z_t/∂x| (B, H, W), ≥ 0.

    Source: Simonyan et al. 2014.
    """
    return call.gradient.abs().sum(dim=1)


def input_x_gradient(call: Call) -> Tensor:
    """Σ_c x ∂z_t/∂x (B, H, W), signed.

    Source: Shrikumar et al. 2016.
    """
    return (call.images * call.gradient).sum(dim=1)


def vjp(call: Call) -> Tensor:
    """Σ_c |∂/∂x ½ Σ_k p_k²| (B, H, W) up to each image's scale, ≥ 0; it has no target.

    Source: arXiv 2511.09239.
    """
    kind = kind_of(call.model)
    R = decision_vjp(call.logits, call.images, retain_graph=True, kind=kind)
    return R.abs().sum(dim=1)


def integrated_gradients(call: Call) -> Tensor:
    """Σ_c (x − x′) ∫₀¹ ∂z_t/∂x (x′ + α(x − x′)) dα (B, H, W), signed.

    The integral is computed by Gauss-Legendre quadrature. The points of all paths pass through the
    model in groups of about ``chunk_size``.

    Source: Sundararajan et al. 2017.
    """
    options, images = call.options, call.images.detach()
    method = import_optional("captum.attr", "explain").IntegratedGradients(call.forward)
    baseline = options.baseline_for(images)
    group = max(1, options.chunk_size // options.n_steps)
    parts = [
        method.attribute(
            images[rows],
            baselines=baseline[rows],
            target=call.targets[rows],
            n_steps=options.n_steps,
            internal_batch_size=(
                options.chunk_size if options.n_steps > options.chunk_size else None
            ),
        )
        for rows in (slice(start, start + group) for start in range(0, len(images), group))
    ]
    return torch.cat(parts).sum(dim=1)


def smoothgrad(call: Call) -> Tensor:
    """Σ_c |mean over n of ∂z_t/∂x (x + σε_n)| (B, H, W), ≥ 0, σ a share of each image's own range.

    captum's NoiseTunnel draws different noise for each image from the global generator, with one σ
    for all. So noisy images are passed to captum's Saliency instead. All images get the same ε.

    Source: Smilkov et al. 2017.
    """
    options, images = call.options, call.images.detach()
    method = import_optional("captum.attr", "explain").Saliency(call.forward)
    generator = torch.Generator(images.device).manual_seed(options.seed)
    shape = (options.n_samples, *images.shape[1:])
    noise = torch.randn(shape, generator=generator, device=images.device, dtype=images.dtype)
    sigma = options.noise_level * (images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3)))
    copies = [(image, sample) for image in range(len(images)) for sample in range(len(noise))]
    total = torch.zeros_like(images)
    for start in range(0, len(copies), options.chunk_size):
        chunk = copies[start : start + options.chunk_size]
        rows, samples = torch.tensor(chunk, device=images.device).T
        noisy = images[rows] + sigma[rows, None, None, None] * noise[samples]
        gradient = method.attribute(noisy.requires_grad_(), target=call.targets[rows], abs=False)
        total.index_add_(0, rows, gradient)
    return (total / options.n_samples).abs().sum(dim=1)
