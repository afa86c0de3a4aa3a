"""The formulas of S-IB, written down directly: the baseline of the benchmarks.

No trick of the library stands here: dense windows, a sort for each quantile, weights for every
rank, explicit centring matrices, torch's own double backward, a gradient of the images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def soft_quantile(values: Tensor, q: float, temperature: float = 0.1) -> Tensor:
    ordered = values.sort(dim=1).values
    ranks = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
    weights = torch.softmax(-(ranks - q * (values.shape[1] - 1)).abs() / temperature, dim=0)
    return (ordered * weights).sum(dim=1).view(-1, 1, 1, 1)


def foreground_mask(R: Tensor, window: int = 31, slope: float = 10.0) -> Tensor:
    g = R.mean(dim=1, keepdim=True).abs()
    low, high = soft_quantile(g.flatten(1), 0.05), soft_quantile(g.flatten(1), 0.95)
    n = (g - low) / (high - low + 1e-8)
    h = torch.sigmoid(slope * (n - soft_quantile(n.flatten(1), 0.8)))
    d = F.avg_pool2d(h, window, stride=1, padding=window // 2)
    return torch.sigmoid(slope * (d - soft_quantile(d.flatten(1), 0.8)))


def hsic(a: Tensor, b: Tensor) -> Tensor:
    batch = len(a)
    H = torch.eye(batch, device=a.device, dtype=a.dtype) - 1 / batch
    return ((H @ a @ a.T @ H) * (H @ b @ b.T @ H)).sum() / (batch - 1) ** 2


def head(R: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Alignment and background variance."""
    mask = foreground_mask(R)
    a = F.normalize((R * mask).flatten(1), dim=1)
    b = F.normalize((images * mask).flatten(1), dim=1)
    return hsic(a, b), (R * (1 - mask)).var(dim=(1, 2, 3)).mean()


def step(model: nn.Module, images: Tensor, labels: Tensor, weights: tuple[float, float]) -> Tensor:
    """Gradients of cross-entropy − λ_fg · HSIC + λ_bg · variance; returns the loss."""
    images = images.detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        logits = model(images)
    energy = 0.5 * logits.float().softmax(dim=1).square().sum()
    (R,) = torch.autograd.grad(energy, images, create_graph=True)
    alignment, variance = head(R, images)
    loss = F.cross_entropy(logits, labels) - weights[0] * alignment + weights[1] * variance
    loss.backward()
    return loss.detach()
