"""Which foregrounds a run may learn from."""

import hashlib

import torch
from torch import Tensor

from sib.config.train import TrainConfig
from sib.data import Batch, Splits
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


def is_chosen(name: str, share: float, seed: int) -> bool:
    """Whether an image is in the share whose annotation may be used."""
    return _position(name, seed) < share


def _position(name: str, seed: int) -> float:
    """A number in [0, 1), uniform over names."""
    digest = hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48
