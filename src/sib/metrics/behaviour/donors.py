"""The images that lend their backgrounds, drawn so that the order of batches does not matter."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sib.metrics.behaviour.conditions import EXCHANGED, SAME_CLASS
from sib.metrics.behaviour.fill import remove_object

Label = int | tuple[bool, ...]
"""A class, or which of several labels an image has."""
CHUNK = 16
"""Number of images whose objects are removed in one batch."""


class Candidate(NamedTuple):
    """An image that may lend its background."""

    key: float
    """Random key; the images with the smallest keys are kept."""
    place: int
    """Index in the set."""
    image: Tensor
    """(C, H, W)."""
    foreground: Tensor
    """(1, H, W)."""


class Reservoir:
    """At most ``size`` images of a stream, spread evenly over its classes or sets of labels."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seen = 0
        self._random = np.random.default_rng([seed, 0])
        self._classes: dict[Label, list[Candidate]] = {}

    def add(self, images: Tensor, labels: Tensor, foreground: Tensor, usable: Tensor) -> None:
        """Add a batch; images that are not usable are only counted. Labels are (B,) or (B, K)."""
        keys = self._random.random(len(images))
        for row, (key, label) in enumerate(zip(keys, labels.tolist(), strict=True)):
            if usable[row]:
                candidate = Candidate(key, self.seen + row, images[row], foreground[row])
                self._add(tuple(label) if isinstance(label, list) else label, candidate)
        self.seen += len(images)

    def _add(self, label: Label, candidate: Candidate) -> None:
        kept = self._classes.setdefault(label, [])
        if self.kept >= self.size:
            # make room in the largest class, counting the new image
            def crowding(name: Label) -> tuple[int, float]:
                group = self._classes[name] + [candidate] * (name == label)
                return len(group), max((one.key for one in group), default=0.0)

            fullest = max(self._classes, key=crowding)
            last = max(self._classes[fullest], key=lambda one: one.key, default=candidate)
            if fullest == label and candidate.key >= last.key:
                return
            self._classes[fullest].remove(last)
        # copies, so that the batch can be freed
        image, foreground = candidate.image.clone(), candidate.foreground.clone()
        kept.append(candidate._replace(image=image, foreground=foreground))

    @property
    def kept(self) -> int:
        """Number of images that are kept."""
        return sum(map(len, self._classes.values()))

    def donors(self, fills: Sequence[str]) -> "Donors":
        """The images that were kept, with their objects removed in each way."""
        kept = sorted(
            ((one, label) for label, found in self._classes.items() for one in found),
            key=lambda pair: pair[0].place,
        )
        images = torch.stack([one.image for one, _ in kept])
        foreground = torch.stack([one.foreground for one, _ in kept])
        chunks = list(zip(images.split(CHUNK), foreground.split(CHUNK), strict=True))
        return Donors(
            np.array([label for _, label in kept]),
            np.array([one.place for one, _ in kept]),
            {fill: torch.cat([remove_object(*pair, fill) for pair in chunks]) for fill in fills},
        )


class Donors(NamedTuple):
    """Backgrounds, and the images that they come from."""

    labels: np.ndarray
    """(D,), classes of the images; with several labels an image (D, K), which it has."""
    indices: np.ndarray
    """(D,), their indices in the set."""
    backgrounds: dict[str, Tensor]
    """(D, C, H, W) for each way of removing the object, NaN if no background is left."""

    def other_class(self, label: int, draw: float) -> int:
        """Row of a donor of another class, or −1; ``draw`` in [0, 1) chooses."""
        return _pick(np.flatnonzero(self.labels != label), draw)

    def same_class(self, label: int, index: int, draw: float) -> int:
        """Row of a donor of the same class that is another image, or −1."""
        return _pick(np.flatnonzero((self.labels == label) & (self.indices != index)), draw)

    def without_label(self, label: int, draw: float) -> int:
        """Row of a donor that lacks one of several labels, or −1."""
        return _pick(np.flatnonzero(~self.labels[:, label]), draw)

    def with_label(self, label: int, index: int, draw: float) -> int:
        """Row of a donor with this one of several labels that is another image, or −1."""
        return _pick(np.flatnonzero(self.labels[:, label] & (self.indices != index)), draw)


def _pick(rows: np.ndarray, draw: float) -> int:
    return int(rows[int(draw * len(rows))]) if len(rows) else -1


class Partners(NamedTuple):
    """Whose background each image of a batch is given, as rows of the donors."""

    donors: Donors | None
    rows: dict[str, Tensor]
    """(B,) for ``"exchanged"`` and for ``"same_class"``, −1 for none."""

    def indices(self, kind: str) -> Tensor:
        """(B,) places in the set, −1 for none."""
        rows = self.rows[kind]
        if self.donors is None:
            return rows
        return torch.where(rows >= 0, torch.as_tensor(self.donors.indices)[rows], -1)


def partners_of(
    donors: Donors | None, labels: Tensor, start: int, draws: np.random.Generator
) -> Partners:
    """Draw the partners of a batch whose first image has the place ``start`` in the set."""
    found: dict[str, list[int]] = {EXCHANGED: [], SAME_CLASS: []}
    for row, label in enumerate(labels.tolist()):
        other, same = draws.random(2)
        found[EXCHANGED].append(donors.other_class(label, other) if donors else -1)
        found[SAME_CLASS].append(donors.same_class(label, start + row, same) if donors else -1)
    return Partners(donors, {kind: torch.tensor(rows) for kind, rows in found.items()})
