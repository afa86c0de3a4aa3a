"""The measures as torchmetrics: means over images, across batches and processes."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from sib.functional.precision import to_float64
from sib.metrics.localisation import (
    background_leakage,
    foreground_energy,
    pointing_game,
    relevance_rank_accuracy,
    top_pixel_iou,
)
from sib.metrics.perturbation import Targets, deletion_area, insertion_area
from sib.metrics.sparseness import gini_sparseness


class ImageMean(Metric):
    """Mean of a value per image over the images that have one; the others are counted.

    ``compute()`` gives the mean, NaN where no image has a value. ``counts()`` gives how many had
    one and how many had none. All are sums over the processes under DDP.
    """

    is_differentiable = False
    full_state_update = False

    total: Tensor
    scored: Tensor
    skipped: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("scored", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("skipped", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        """Mean over the scored images."""
        return self.total / self.scored

    def counts(self) -> tuple[int, int]:
        """Images scored, and images skipped because they had no value."""
        with self.sync_context():
            return int(self.scored), int(self.skipped)

    def _add(self, values: Tensor) -> None:
        known = ~values.isnan()
        self.total += to_float64(values[known]).sum()
        self.scored += known.sum()
        self.skipped += (~known).sum()


class EnergyPointingGame(ImageMean):
    """Mean of `foreground_energy`, in [0, 1]."""

    higher_is_better = True

    def update(self, attribution: Tensor, foreground: Tensor) -> None:
        """Add maps (B, H, W) and their foregrounds (B, H, W), bool."""
        self._add(foreground_energy(attribution, foreground))


class BackgroundLeakage(ImageMean):
    """Mean of `background_leakage`, in [0, ceiling]."""

    higher_is_better = False

    def __init__(self, ceiling: float = 100.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ceiling = ceiling

    def update(self, attribution: Tensor, foreground: Tensor) -> None:
        """Add maps (B, H, W) and their foregrounds (B, H, W), bool."""
        self._add(background_leakage(attribution, foreground, ceiling=self.ceiling))


class PointingGame(ImageMean):
    """Mean of `pointing_game`, in [0, 1]."""

    higher_is_better = True

    def update(self, attribution: Tensor, foreground: Tensor) -> None:
        """Add maps (B, H, W) and their foregrounds (B, H, W), bool."""
        self._add(pointing_game(attribution, foreground))


class TopPixelIoU(ImageMean):
    """Mean of `top_pixel_iou`, in [0, 1]."""

    higher_is_better = True

    def update(self, attribution: Tensor, foreground: Tensor) -> None:
        """Add maps (B, H, W) and their foregrounds (B, H, W), bool."""
        self._add(top_pixel_iou(attribution, foreground))


class RelevanceRankAccuracy(ImageMean):
    """Mean of `relevance_rank_accuracy`, in [0, 1]."""

    higher_is_better = True

    def update(self, attribution: Tensor, foreground: Tensor) -> None:
        """Add maps (B, H, W) and their foregrounds (B, H, W), bool."""
        self._add(relevance_rank_accuracy(attribution, foreground))


class Sparseness(ImageMean):
    """Mean of `gini_sparseness`, in [0, 1)."""

    higher_is_better = True

    def update(self, attribution: Tensor) -> None:
        """Add maps (B, H, W)."""
        self._add(gini_sparseness(attribution))


class InsertionArea(ImageMean):
    """Mean of `insertion_area`, in [0, 1]."""

    higher_is_better = True

    def __init__(
        self, steps: int = 20, baseline: str = "blur", batch_size: int = 64, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.options: dict[str, Any] = {
            "steps": steps,
            "baseline": baseline,
            "batch_size": batch_size,
        }

    def update(
        self, model: nn.Module, images: Tensor, attribution: Tensor, targets: Targets = None
    ) -> None:
        """Add images (B, C, H, W) and their maps (B, H, W)."""
        self._add(insertion_area(model, images, attribution, targets, **self.options))


class DeletionArea(ImageMean):
    """Mean of `deletion_area`, in [0, 1]."""

    higher_is_better = False

    def __init__(
        self, steps: int = 20, baseline: str = "mean", batch_size: int = 64, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.options: dict[str, Any] = {
            "steps": steps,
            "baseline": baseline,
            "batch_size": batch_size,
        }

    def update(
        self, model: nn.Module, images: Tensor, attribution: Tensor, targets: Targets = None
    ) -> None:
        """Add images (B, C, H, W) and their maps (B, H, W)."""
        self._add(deletion_area(model, images, attribution, targets, **self.options))
