"""Checks of the options of a training run: ranges, and options that need or exclude others."""

import math
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from sib.config.facts import NEED_FOREGROUND, flatten, refusal
from sib.config.fine_tuning import (
    check_fine_tuning,
    check_mixing,
    check_normalization,
    check_resize,
)
from sib.config.options import WEIGHT_INTERVAL, check_optimizer
from sib.config.train_options import TrainOptions
from sib.objectives.registry import check_method, needs_foreground
from sib.tracking.registry import tracker_names
from sib.utils.errors import InputError
from sib.utils.image_size import check_size


def check_options(config: TrainOptions, known_share: float) -> None:
    """Raise InputError where an option is out of its range, or does not fit another.

    Args:
        config: all options.
        known_share: share of the images with a foreground whose foreground the method uses.
    """
    _check_finite(config)
    check_method(config.method)
    tracker_names(config.track)
    _check_objective(config)
    _check_foreground(config)
    _check_rival(config)
    _check_annotation(config, known_share)
    check_fine_tuning(config)
    check_mixing(config, config.method)
    check_normalization(config.input.normalization)
    check_resize(config.input.resize)
    check_optimizer(config.optimizer)
    _check_layers(config)
    _check_input(config)
    _check_batches(config)
    _check_step(config)
    _check_run(config)
    _check_schedule(config)


def _check_finite(config: TrainOptions) -> None:
    for name, value in _floats(config):
        if not math.isfinite(value):
            raise InputError(f"--{name} must be a finite number; got {value}")


def _check_layers(config: TrainOptions) -> None:
    if config.layer == "":
        raise InputError("--layer must be the name of a module; got ''")
    if config.stages is not None and not all(config.stages.split(",")):
        raise InputError(
            f"--stages must be names of modules, separated by commas; got {config.stages!r}"
        )


def _check_input(config: TrainOptions) -> None:
    if not config.input.cache:
        raise InputError("--input.cache must be auto, off or a folder; got ''")
    if not 0 < config.input.crop_area <= 1:
        raise InputError(
            f"--input.crop-area must be above 0 and at most 1; got {config.input.crop_area}"
        )


def _check_batches(config: TrainOptions) -> None:
    smallest = smallest_batch(config.objective.estimator) if config.method == "sib" else 2
    _at_least("epochs", config.epochs, 1)
    _at_least("batch-size", config.batch_size, smallest)
    for name, number in (
        ("micro-batch", config.micro_batch),
        ("save-every-steps", config.save_every_steps),
    ):
        if number is not None:
            _at_least(name, number, 1)


def _check_step(config: TrainOptions) -> None:
    """Raise InputError where a step cannot be taken as the options say."""
    _at_least("every-n-steps", config.every_n_steps, 1)
    if not 0 < config.sib_fraction <= 1:
        raise InputError(f"--sib-fraction must be above 0 and at most 1; got {config.sib_fraction}")
    if config.sib_fraction < 1 and config.micro_batch is not None:
        raise InputError("--sib-fraction and --micro-batch cannot be combined; give one")
    for name in ("checkpoint", "micro_batch"):
        if config.cuda_graph and getattr(config, name):
            option = name.replace("_", "-")
            raise InputError(f"--cuda-graph and --{option} cannot be combined; give one")
    if config.cuda_graph and config.guided_labels != "union":
        raise InputError(
            f"--cuda-graph and --guided-labels {config.guided_labels} cannot be combined: a graph "
            "has a fixed number of labels an image"
        )


def _check_run(config: TrainOptions) -> None:
    _at_least("workers", config.workers, 0)
    _at_least("bad-steps", config.bad_steps, 1)
    _at_least("seed", config.seed, 0)
    if config.seed >= 2**63:
        raise InputError(f"--seed must be below 2^63; got {config.seed}")
    if config.image_size is not None:
        check_size(config.image_size, "--image-size")


def _check_schedule(config: TrainOptions) -> None:
    _at_least("schedule.step-epochs", config.schedule.step_epochs, 1)
    _at_least("schedule.warmup-epochs", config.schedule.warmup_epochs, 0)
    _at_least("optimizer.weight-decay", config.optimizer.weight_decay, 0)
    _above_zero("optimizer.learning-rate", config.optimizer.learning_rate)
    _above_zero("schedule.gamma", config.schedule.gamma)
    if config.optimizer.clip_norm is not None:
        _above_zero("optimizer.clip-norm", config.optimizer.clip_norm)


def _floats(config: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every floating-point option, nested ones included, by its name on the command line."""
    for item in fields(config):
        value, name = getattr(config, item.name), prefix + item.name.replace("_", "-")
        if is_dataclass(value):
            yield from _floats(value, f"{name}.")
        elif isinstance(value, float):
            yield name, value


def _check_objective(config: TrainOptions) -> None:
    """Raise InputError where an option has no effect, or a weight is out of its range."""
    objective = config.objective
    sentence = refusal(TrainOptions, flatten(asdict(config)))
    if sentence is not None:
        raise InputError(sentence)
    for name, weight in objective.term_weights.items():
        _at_least(f"objective.{name}-weight", weight, 0)
    if objective.balance_floor is not None and not 0 <= objective.balance_floor <= 1:
        raise InputError(
            f"--objective.balance-floor must be from 0 to 1; got {objective.balance_floor}"
        )
    if objective.steady_interval < 1 or objective.steady_interval % WEIGHT_INTERVAL:
        raise InputError(
            f"--objective.steady-interval must be a multiple of {WEIGHT_INTERVAL}, the interval of "
            f"the first steps; got {objective.steady_interval}"
        )
    if config.hsic_scope == "global" and "hsic" not in (objective.alignment, objective.background):
        raise InputError(
            f"--hsic-scope global is for terms that compare images by HSIC; got --objective."
            f"alignment {objective.alignment} and --objective.background {objective.background}"
        )


def _check_foreground(config: TrainOptions) -> None:
    """Raise InputError where foregrounds from a start network are wanted but there is none."""
    area = config.objective.foreground_area
    if area != "otsu" and not 0 < area < 1:
        raise InputError(
            "--objective.foreground-area must lie between 0 and 1, both excluded, or be otsu; got "
            f"{area}"
        )
    if config.weights is not None:
        return
    if config.foreground == "pretrained":
        raise InputError(
            "--foreground pretrained needs a network to start from: give --weights, or "
            "--foreground colours"
        )
    if config.objective.foreground_layer is not None:
        raise InputError(
            "--objective.foreground-layer is of the network that a run starts from: give "
            "--weights, too"
        )


def _check_rival(config: TrainOptions) -> None:
    """Raise InputError where an option for rivals is out of its range."""
    _at_least("rival.weight", config.rival.weight, 0)
    if not 0 <= config.rival.balance_floor <= 1:
        raise InputError(
            f"--rival.balance-floor must be from 0 to 1; got {config.rival.balance_floor}"
        )
    if not 0 < config.rival.temperature < float("inf"):
        raise InputError(
            f"--rival.temperature must be above 0 and be finite; got {config.rival.temperature}"
        )
    if not 0 < config.rival.masked_share < 1:
        raise InputError(
            "--rival.masked-share must lie between 0 and 1, both excluded; got "
            f"{config.rival.masked_share}"
        )


def _check_annotation(config: TrainOptions, known_share: float) -> None:
    """Raise InputError where the use of annotated foregrounds is out of its range."""
    if not 0 <= config.background_exchange <= 1:
        raise InputError(
            f"--background-exchange must be from 0 to 1; got {config.background_exchange}"
        )
    if config.background_exchange and not known_share:
        raise InputError(
            "--background-exchange needs foregrounds to train with: give --guided-share, "
            f"--foreground pretrained, or --method {' or '.join(NEED_FOREGROUND)}"
        )
    if config.guided_labels != "union":
        asked = f"--guided-labels {config.guided_labels}"
        if config.labels is None or not config.guided_share:
            raise InputError(f"{asked} needs --labels and --guided-share above 0")
        if config.foreground == "pretrained":
            raise InputError(f"{asked} and --foreground pretrained cannot be combined; give one")
    if config.guided_share is None:
        return
    if not 0 <= config.guided_share <= 1:
        raise InputError(f"--guided-share must be from 0 to 1; got {config.guided_share}")
    if not config.guided_share and needs_foreground(config.method):
        raise InputError(f"--guided-share must be above 0 for --method {config.method}; got 0.0")


def smallest_batch(estimator: str) -> int:
    """Fewest images for which an estimator of HSIC is defined."""
    from sib.functional.dependence import ESTIMATORS  # with torch, which a run loads anyway

    return ESTIMATORS[estimator]


def _at_least(name: str, value: float, smallest: float) -> None:
    if not smallest <= value < float("inf"):
        raise InputError(f"--{name} must be at least {smallest}; got {value}")


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise InputError(f"--{name} must be above 0; got {value}")
