"""Occlusion: how much the logit falls where a part of the image is covered, by captum."""

import torch
from torch import Tensor

from sib.explain.method import Call, Options, Size
from sib.utils.optional import import_optional


def occlusion(call: Call) -> Tensor:
    """What covering the surroundings of a place costs the target's logit, (B, H, W), signed.

    a_ij = mean over the windows that cover ij of z_t(x) − z_t(x with x′ inside the window): above
    0 where the image speaks for the class. No gradient is taken. Windows are ``window`` × the
    image's height by ``window`` × its width, moved by ``stride`` × height and width; at the right
    and the lower border they are cut.

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
    """Forward passes an image: one for each window, and one of the whole image."""
    windows = 1
    for length, covered, step in zip(size, *_window(options, size), strict=True):
        windows *= -(-(length - covered) // step) + 1
    return windows + 1


def _window(options: Options, size: Size) -> tuple[Size, Size]:
    """Sides of the window and the steps between windows, in pixels, at least 1."""
    height, width = (max(1, round(options.window * length)) for length in size)
    down, across = (max(1, round(options.stride * length)) for length in size)
    return (height, width), (down, across)
