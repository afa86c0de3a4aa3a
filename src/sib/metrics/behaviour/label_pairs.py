"""The pairs of image and label that an audit of several labels an image is about."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sib.functional import checks
from sib.metrics.behaviour.inputs import Batches, usable


class Pairs(NamedTuple):
    """The pairs of a batch: each image with each of its labels, or with −1 if it has none."""

    images: Tensor
    """(P,) places of the images in the batch."""
    labels: Tensor
    """(P,)."""
    union: Tensor
    """(P, 1, H, W), U."""
    own: Tensor
    """(P, 1, H, W), F_k; empty where it is unknown."""
    scored: Tensor
    """(P,) bool."""


def checked_pairs(batches: Batches) -> Iterator[tuple[Tensor, Tensor, Pairs, Tensor | None]]:
    """The images, labels, pairs and groups of each batch; raise ValueError if one is invalid."""
    for batch in batches:
        if not 4 <= len(batch) <= 5:
            raise ValueError(
                "each batch must be (images, labels, foreground, own) or (images, labels, "
                f"foreground, own, groups); got {len(batch)} parts"
            )
        images, labels, foreground, own = batch[:4]
        checks.image_batch("images", images)
        checks.foreground(foreground, images, look=True)
        if (
            labels.ndim != 2
            or len(labels) != len(images)
            or not ((labels == 0) | (labels == 1)).all()
        ):
            raise ValueError(
                f"labels must be ({len(images)}, K) of 0 and 1; got shape {checks.shape(labels)}"
            )
        labels = labels.cpu().bool()
        count = int(labels.sum())
        if own.shape != (count, 1, *images.shape[2:]):
            raise ValueError(
                f"own must have the shape {(count, 1, *images.shape[2:])}, one foreground for each "
                f"label of each image; got {checks.shape(own)}"
            )
        groups = batch[4].cpu() if len(batch) == 5 else None
        yield images, labels, pairs_of(labels, foreground, own), groups


def pairs_of(labels: Tensor, foreground: Tensor, own: Tensor) -> Pairs:
    """The pairs of a batch; see `label_behaviour_of` for which are scored.

    Args:
        labels: bool (B, K).
        foreground: U, (B, 1, H, W).
        own: F_k, (P', 1, H, W), in the order of ``labels.nonzero()``.
    """
    place, label = labels.nonzero(as_tuple=True)
    known = own.flatten(1).any(dim=1).cpu()
    is_named = torch.zeros(len(labels)).index_add(0, place, known.float()) > 0
    is_whole = ((labels.sum(dim=1) == 1) & ~is_named)[place].to(own.device)
    union = foreground[place.to(foreground.device)]
    own = torch.where(is_whole[:, None, None, None], union.to(own), own)
    scored = usable(union).cpu() & (known | ~is_named[place])
    bare = (~labels.any(dim=1)).nonzero().squeeze(1)
    places = torch.cat([place, bare])
    order = places.argsort(stable=True)
    blank = own.new_zeros(len(bare), *own.shape[1:])
    return Pairs(
        places[order],
        torch.cat([label, torch.full_like(bare, -1)])[order],
        foreground[places[order].to(foreground.device)],
        torch.cat([own, blank])[order.to(own.device)],
        torch.cat([scored, torch.zeros(len(bare), dtype=torch.bool)])[order],
    )
