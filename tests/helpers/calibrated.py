"""The calibrated objective written again from its formula, on small networks."""

import torch
import torch.nn.functional as F
from torch import nn

from helpers.reference import density

LAYER = "6"  # of group_norm_net: its last activation


def batch(size=6, side=16, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, side, side, generator=generator, dtype=torch.float64).to(dtype)
    return images, torch.randint(5, (size,), generator=generator)


def gradient(module):
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def appearance(R, image, window):
    """The fifth of the pixels where the mean over the colours that R favours is largest."""
    height, width = R.shape[1:]
    a = density((R**2).sum(0), window, count_include_pad=False).sqrt()
    low, high = image.amin((1, 2)), image.amax((1, 2))
    members = {}
    for y in range(height):
        for x in range(width):
            level = ((image[:, y, x] - low) / (high - low) * 8).floor().clamp(max=7)
            members.setdefault(tuple(level.tolist()), []).append((y, x))
    shared = torch.zeros_like(a)
    for pixels in members.values():
        total = sum(a[pixel] for pixel in pixels) + 5 * a.mean()
        for pixel in pixels:
            shared[pixel] = total / (len(pixels) + 5)
    v = density(shared, window, count_include_pad=False)
    return (v > v.flatten().sort().values[round(0.8 * v.numel()) - 1]).double()


def staged_net(classes=5):
    """Maps of 8 × 8, then of 4 × 4 places, for images of 16 × 16."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.GroupNorm(2, 6),
        nn.GELU(),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def by_the_formula(model, images, image_weight, layer_weight, stage_weight):
    """The loss written down directly, one image at a time, for `staged_net` in float64."""
    images = images.clone().requires_grad_()
    stage = model[:3](images)
    features = model[3:5](stage)
    logits = model[5:](features)
    total = 0
    for b in range(len(images)):
        row = logits[b]
        t = int(row.argmax())
        p = row.softmax(0)
        s = (p[t] / (1 - p[t])).log()
        gradients = torch.autograd.grad(s, (images, features, stage), create_graph=True)
        R, G, G1 = (gradient[b] for gradient in gradients)
        M = appearance(R.detach(), images[b].detach(), round(31 / 224 * 16))
        total = total + image_weight * (R**2 * (1 - M)).sum() / (R**2).sum()
        total = total + layer_weight * share_outside(features[b], G, M)
        total = total + stage_weight * share_outside(stage[b], G1, M)
    return total / len(images)


def share_outside(F_, G, M):
    """ρ of Σ_c relu(G_c F_c), enlarged bilinearly."""
    evidence = sum((F_[c] * G[c]).clamp(min=0) for c in range(len(F_)))
    large = F.interpolate(evidence[None, None], M.shape, mode="bilinear")[0, 0]
    return (large * (1 - M)).sum() / large.sum()
