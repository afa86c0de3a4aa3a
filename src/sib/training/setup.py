"""The pieces of a run, made from its configuration."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sib.data import Splits, make_loader, open_data
from sib.errors import InputError
from sib.functional.dependence import ESTIMATORS
from sib.functional.similarity import WINDOW
from sib.objective import SpatialIB
from sib.task import CrossEntropyTask, SpatialIBTask
from sib.training.config import TrainConfig
from sib.training.cost import Task


def open_splits(config: TrainConfig) -> Splits:
    """The three splits that a configuration names."""
    options = config.input
    return open_data(
        config.data,
        root=config.root,
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
        split_seed=options.split_seed,
        masks=options.masks,
        background_strength=options.background_strength,
        train_size=options.train_size,
        test_size=options.test_size,
        image_size=config.side,
    )


def make_split_loader(config: TrainConfig, splits: Splits, split: str) -> Any:
    """Batches of one split; only ``"train"`` is shuffled and augmented."""
    training = split == "train"
    return make_loader(
        getattr(splits, split),
        image_size=config.side,
        batch_size=config.batch_size,
        augment=config.input.augment if training else "none",
        train=training,
        seed=config.seed,
        workers=config.workers,
        minimum_batch=ESTIMATORS[config.objective.estimator],
    )


def make_task(config: TrainConfig, model: nn.Module, device: torch.device) -> Task:
    """The model with the method's loss."""
    if config.method == "ce":
        return CrossEntropyTask(model).to(device)
    generator = torch.Generator(device).manual_seed(config.seed)
    try:
        objective = SpatialIB(**vars(config.objective), generator=generator)
        _check_window(config)
    except ValueError as error:
        raise InputError(f"--objective: {error}") from None
    return SpatialIBTask(model, objective).to(device)


def _check_window(config: TrainConfig) -> None:
    """Raise ValueError where a window does not fit into the images."""
    if config.objective.alignment == "ssim" and config.side < WINDOW:
        raise ValueError(
            f"alignment ssim needs images of at least {WINDOW} × {WINDOW} pixels; got "
            f"{config.side} × {config.side}"
        )
    if config.objective.mask in ("density", "hard") and config.objective.window_size > config.side:
        raise ValueError(
            f"window-size must not exceed the image: {config.objective.window_size} pixels do not "
            f"fit into {config.side} × {config.side}; set --objective.window-size"
        )


def make_autocast(config: TrainConfig, device: torch.device) -> Callable[[], torch.autocast]:
    """Makes the mixed-precision context of a step."""
    enabled = config.precision == "bfloat16"
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
