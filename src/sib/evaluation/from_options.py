"""A classifier as the options of a command name it."""

from pathlib import Path

import torch

from sib.config.checks import check_image_size
from sib.config.classifier import ClassifierConfig, NamedClassifierConfig
from sib.evaluation.checkpoint import Checkpoint, open_checkpoint
from sib.evaluation.classifier import Classifier, load


def open_from_options(
    config: ClassifierConfig,
    path: Path,
    device: torch.device,
    *,
    layer: str | None = None,
    label_kind: str | None = None,
) -> Checkpoint:
    """Open a checkpoint; arguments beside the options, and errors, as in `open_checkpoint`."""
    return open_checkpoint(
        path,
        device,
        which=config.weights,
        arch=config.arch,
        image_size=check_image_size(config.image_size),
        resize=config.resize,
        normalization=config.normalization,
        layer=layer,
        trust_code=config.trust_code,
        label_kind=label_kind,
    )


def load_from_options(config: NamedClassifierConfig, path: Path, device: str) -> Classifier:
    """Load a classifier with its class names; errors as in `load`."""
    return load(
        path,
        device=device,
        weights=config.weights,
        arch=config.arch,
        image_size=check_image_size(config.image_size),
        resize=config.resize,
        normalization=config.normalization,
        classes=config.classes,
        trust_code=config.trust_code,
    )
