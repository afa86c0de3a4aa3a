"""Occlusion, by captum: how much the logit falls when a part of the image is covered."""

import torch
from torch import Tensor

from sib.explain.call import Call, Options
from sib.explain.method import Size
from sib.utils.optional import import_optional


def occlusion(call: Call) -> Tensor:
    """How much the target's logit falls when the area around a pixel is covered, (B, H, W), signed.

    a_ij = mean over the windows that cover ij of z_t(x) − z_t(x with x′ inside the window). It is
    above 0 where the image supports the class. No gradient is needed. A window's sides are
    ``window`` times the image's, and windows are ``stride`` times the image's sides apart. They are
    clipped at the right and lower border.

    Source: Zeiler and Fergus 2014, section 4.2; the mean over overlapping windows is captum's.
    """
    options, images = call.options, call.images.detach()
    method = import_optional("captum.attr", "explain").Occlusion(call.forward)
    (height, width), (down, across) = _window(options, (images.shape[2], images.shape[3]))
    baseline = options.baseline_for(images)
    parts = []
    for start in range(0, len(images), options.chunk_size):
        rows = slice(start, start + options.chunk_size)
        part = method.attribute(
            images[rows],
            sliding_window_shapes=(images.shape[1], height, width),
            strides=(images.shape[1], down, across),
            baselines=baseline[rows],
            target=call.targets[rows],
            perturbations_per_eval=max(1, options.chunk_size // len(images[rows])),
        )
        parts.append(part.mean(dim=1))  # a window covers all channels, so all have the same value
    return torch.cat(parts)


def passes(options: Options, size: Size) -> int:
    """Forward passes per image: one for each window, and one for the whole image."""
    windows = 1
    for length, covered, step in zip(size, *_window(options, size), strict=True):
        windows *= -(-(length - covered) // step) + 1
    return windows + 1


def _window(options: Options, size: Size) -> tuple[Size, Size]:
    """Sides of the window and the steps between windows, in pixels, at least 1."""
    height, width = (max(1, round(options.window * length)) for length in size)
    down, across = (max(1, round(options.stride * length)) for length in size)
    return (height, width), (down, across)
