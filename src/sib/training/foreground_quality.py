"""How much of the found foregrounds lies on annotated objects."""

from typing import Any

import torch
from torch import Tensor

from sib.functional.area import centred_disc


class ForegroundQuality:
    """Mean share of the found area that lies on the annotated object, and of the object found.

    For an image with found foreground F and annotation A, the precision is |F ∩ A| / |F|: the
    energy-based pointing game of a binary map. For comparison, the same is computed for a centred
    disc of F's area, and for the whole image, where it is |A| / (H W). The recall |F ∩ A| / |A| is
    the share of the object that was found. Images without an annotation or a found foreground do
    not count.

    Source: Wang et al. 2020 (Score-CAM, arXiv 1910.01279) for the energy-based pointing game.
    """

    def __init__(self) -> None:
        self.images = 0
        """Number of images that counted so far."""
        self._sums = torch.zeros(5, dtype=torch.float64)

    def add(self, found: Tensor, annotation: Tensor, annotated: Tensor) -> None:
        """Count a batch.

        Args:
            found: F, (B, 1, H, W), bool.
            annotation: A, (B, 1, H, W), bool.
            annotated: (B,), bool, whether A is known.
        """
        counts = annotated & found.flatten(1).any(dim=1)
        if not counts.any():
            return
        found, annotation = found[counts], annotation[counts]
        size = (found.shape[-2], found.shape[-1])
        areas = found.flatten(1).double().mean(dim=1)
        # a foreground that is the whole image has the whole image as its disc
        discs = torch.cat([centred_disc(min(area, 1 - 1e-9), size) for area in areas.tolist()])
        guesses = found, discs.view_as(found), torch.ones_like(found)
        for index, guess in enumerate(guesses):
            on_object = (guess & annotation).flatten(1).sum(dim=1).double()
            self._sums[index] += (on_object / guess.flatten(1).sum(dim=1)).sum()
        on_object = (found & annotation).flatten(1).sum(dim=1).double()
        self._sums[3] += areas.sum()
        self._sums[4] += (on_object / annotation.flatten(1).sum(dim=1).clamp(min=1)).sum()
        self.images += len(found)

    def record(self) -> dict[str, Any] | None:
        """The means as plain values; None where no image counted."""
        if not self.images:
            return None
        names = "found", "disc", "even", "area", "recall"
        means = (self._sums / self.images).tolist()
        return {"images": self.images} | dict(zip(names, means, strict=True))
