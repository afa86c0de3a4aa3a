"""Which foregrounds a run may learn from."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from sib.config.train import TrainConfig
from sib.data import Batch, Splits
from sib.data.label_objects import names_objects
from sib.utils.errors import InputError


def check_annotated(config: TrainConfig, splits: Splits) -> None:
    """Raise InputError where a method needs foregrounds and the training images have none."""
    if config.annotated_share and not splits.train.annotated:
        asked = (
            f"--guided-share {config.annotated_share:g}"
            if config.method == "sib"
            else f"--method {config.method}"
        )
        raise InputError(
            f"{asked} needs foregrounds, and the training images of --data {config.data} have none"
        )
    if config.guided_labels != "union" and not names_objects(splits.train):
        raise InputError(
            f"--guided-labels {config.guided_labels} needs --input.annotations that name the class "
            "of each object: no object of the training images has the name of a label of its image"
        )


def known_foreground(batch: Batch, share: float, seed: int) -> Tensor | None:
    """The foregrounds of a batch that may be used, (B, 1, H, W) bool; all zero for other images.

    A hash of an image's name decides, so the choice is the same in every epoch and process.

    Args:
        batch: a training batch.
        share: share of the annotated images, in [0, 1].
        seed: the run's seed.

    Returns:
        None where ``share`` is 0.
    """
    if share == 0:
        return None
    chosen = torch.tensor([is_chosen(name, share, seed) for name in batch.names])
    return batch.foreground & chosen[:, None, None, None]


def guiding_foreground(batch: Batch, config: TrainConfig) -> Tensor | None:
    """The foregrounds that guide the terms: (B, 1, H, W), or (B, K, H, W) label by label.

    Of an image whose annotation may not be used, all are zero.

    Args:
        batch: a training batch.
        config: the run's options.

    Returns:
        None where no foreground is used.
    """
    known = known_foreground(batch, config.known_share, config.seed)
    if known is None or batch.label_foregrounds is None:
        return known
    return batch.label_foregrounds & known.flatten(1).any(dim=1)[:, None, None, None]


def drawn_labels(foreground: Tensor, names: Sequence[str], step: int, seed: int) -> Tensor:
    """One label of each image, each of its annotated ones with the same probability.

    A hash decides, so that a resumed run draws the same.

    Args:
        foreground: (B, K, H, W).
        names: (B,) names of the images.
        step: number of the step.
        seed: the run's seed.

    Returns:
        (B, K, H, W), zero everywhere but for the drawn label of each image.
    """
    kept = torch.zeros_like(foreground)
    for place, (name, known) in enumerate(zip(names, foreground.flatten(2).any(2), strict=True)):
        own = known.nonzero().flatten().tolist()
        if own:
            label = own[int(_position(f"{step} {name}", seed) * len(own))]
            kept[place, label] = foreground[place, label]
    return kept


def is_chosen(name: str, share: float, seed: int) -> bool:
    """Whether an image is in the share whose annotation may be used."""
    return _position(name, seed) < share


def _position(name: str, seed: int) -> float:
    """A number in [0, 1), uniform over names."""
    digest = hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48
