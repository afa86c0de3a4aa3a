"""How far an epoch has come, and the averages of its steps so far."""

from typing import Any

import torch
from torch import Tensor

from sib import distributed
from sib.functional.precision import to_float64


class EpochProgress:
    """Counts and running means of one epoch; the sums stay on the device until requested."""

    def __init__(self) -> None:
        self.batches, self.images, self.seconds = 0, 0, 0.0
        self.gradient_ratios: dict[str, float] = {}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        """Images behind each sum: not every step has the S-IB terms."""
        self.steps_taken_back = 0
        """Steps that were undone because the loss or a gradient was not finite."""
        self.batches_too_small = 0
        """Batches that did not become a step because they had too few images."""
        self.left_out: list[str] = []
        """What was wrong with the images that were left out."""

    def add(self, values: dict[str, Tensor], images: int) -> None:
        """Count one batch, described by means over its images."""
        self.batches += 1
        self.images += images
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0) + to_float64(value.detach()) * images
            self.counts[key] = self.counts.get(key, 0) + images

    def add_undone(self) -> None:
        """Count a batch whose step was undone."""
        self.batches += 1
        self.steps_taken_back += 1

    def add_too_small(self) -> None:
        """Count a batch with too few images for a step."""
        self.batches += 1
        self.batches_too_small += 1

    def record(self) -> dict[str, Any]:
        """Means over the images that all processes have seen, the speed, and any problems."""
        one = next(iter(self.sums.values()))
        counts = one.new_tensor([self.images, *(self.counts[key] for key in self.sums)])
        sums = torch.stack([one.new_tensor(0), *self.sums.values()])
        (images, *counted), (_, *values) = distributed.all_reduce_sum(
            torch.stack([counts, sums])
        ).tolist()
        pairs = zip(self.sums, values, counted, strict=True)
        means: dict[str, Any] = {}
        for key, value, count in pairs:
            group, _, name = key.rpartition(".")
            (means.setdefault(group, {}) if group else means)[name] = value / count
        means |= self.gradient_ratios
        speed = {"seconds": self.seconds, "images_per_second": images / self.seconds}
        faults: dict[str, Any] = {}
        if self.steps_taken_back:
            faults["steps_taken_back"] = self.steps_taken_back
        if self.batches_too_small:
            faults["batches_too_small"] = self.batches_too_small
        left_out = [each for own in distributed.all_gather_object(self.left_out) for each in own]
        if left_out:
            faults["left_out"] = left_out
        return means | speed | faults

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold."""
        return vars(self) | {"sums": {key: value.cpu() for key, value in self.sums.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> "EpochProgress":
        """Restore the progress from `state`."""
        progress = cls()
        state = dict(state)
        ratio = state.pop("gradient_ratio", None)  # older sib: only the sum of the terms
        vars(progress).update(state)
        if ratio is not None:
            progress.gradient_ratios = {"gradient_ratio": ratio}
        if "counts" not in state:  # older sib: every step had every value
            progress.counts = dict.fromkeys(state["sums"], progress.images)
        progress.sums = {key: value.to(device) for key, value in state["sums"].items()}
        return progress
