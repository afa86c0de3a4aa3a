"""Task, objective and precision of a run, built from its configuration."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from sib import distributed
from sib.config.train import TrainConfig
from sib.functional.similarity import WINDOW
from sib.models.axes import in_options
from sib.models.layers import LayerDescription, cam_layer, choose_layer, describe, keep_tried_layer
from sib.models.stages import given_stages
from sib.objectives.base import Objective
from sib.objectives.calibrated import CalibratedSpatialIB
from sib.objectives.published import SpatialIB
from sib.objectives.registry import METHODS, load_objective
from sib.objectives.weighting import GradientBalancer
from sib.tasks.task import Task
from sib.training.criterion import make_criterion
from sib.utils.errors import InputError
from sib.utils.image_size import height_width, size_in_words


def make_task(
    config: TrainConfig,
    model: nn.Module,
    device: torch.device,
    class_counts: Sequence[int] = (),
    several: int | None = None,
) -> Task:
    """The model with the method's objective and the run's criterion.

    Args:
        config: the run's options.
        model: the model to train.
        device: the device to put it on.
        class_counts: (K,) number of training images in each class, for balanced class weights.
        several: number of training images, if each has several labels.

    Raises:
        InputError: an option is out of its range, or does not fit the model.
    """
    _check_layer(config, model)
    group = "objective" if config.method == "sib" else "rival"
    try:
        objective = make_objective(config, device)
    except ValueError as error:
        raise InputError(f"--{group}: {error}") from None
    try:
        task = Task(
            model,
            objective,
            every_n_steps=config.every_n_steps,
            fraction=config.sib_fraction,
            checkpoint=config.checkpoint,
            criterion=make_criterion(config, class_counts, several),
            batch_norm="frozen" if config.batch_norm == "frozen" else "train",
        )
    except ValueError as error:
        raise InputError(f"--arch {config.arch}: {error}") from None
    return task.to(device)


def _check_layer(config: TrainConfig, model: nn.Module) -> None:
    """Check the run's layers, and let the model use them.

    Raises:
        InputError: the named layers do not fit the model, or none is known although the method
            needs one.
    """
    images = _one_image(config, model)
    try:
        if config.layer is not None:
            cam_layer(model, images, config.layer)  # better message about wrong names
            choose_layer(model, config.layer)
        else:
            keep_tried_layer(model, images)
        if not config.looks_inside:
            return
        found = describe(model, images, stages=())
    except ValueError as error:
        reason = in_options(str(error))
        raise InputError(f"--arch {config.arch}, --layer: {reason}") from None
    if config.method != "sib" and not found.has_places:
        sentence = one_place(describe(model, images), f"--method {config.method}")
        option = METHODS[config.method].without_layer
        other = f", or give {option}" if option else ""
        raise InputError(f"--arch {config.arch}: {sentence}{other}")
    try:
        given_stages(model, images, config.stage_names or ())
    except ValueError as error:
        reason = in_options(str(error))
        raise InputError(f"--arch {config.arch}, --stages: {reason}") from None


def describe_layers(config: TrainConfig, task: Task) -> tuple[LayerDescription | None, list[str]]:
    """The last stage of a run's model, the finer ones, and sentences about them."""
    model, objective = task.model, task.objective
    images = _one_image(config, model)
    try:
        whole = describe(model, images)
        if isinstance(objective, CalibratedSpatialIB):
            found = objective.describe_layers(model, images)
        else:
            found = whole._replace(stages={})
    except ValueError:  # the method needs no layer, as checked above
        return None, [
            "layer: none is known for this architecture; class activation maps need --layer"
        ]
    sentences = [f"layer: {found}"]
    if not found.has_places:
        use = "a term or class activation maps" if config.is_calibrated else "class activation maps"
        sentences.append(one_place(whole, use))
    return found, sentences


def one_place(found: LayerDescription, use: str) -> str:
    """Explain what a last stage of one place means, and what to do."""
    finer = next(iter(found.stages), None)
    advice = f"; --layer {finer} is finer" if finer else ""
    return f"{found.layer} has one place at this image size, which is useless for {use}{advice}"


def _one_image(config: TrainConfig, model: nn.Module) -> torch.Tensor:
    return torch.zeros(1, 3, *height_width(config.side), device=next(model.parameters()).device)


def make_objective(config: TrainConfig, device: torch.device) -> Objective | None:
    """The run's objective; None for plain cross-entropy.

    Raises:
        ValueError: a value is out of its range.
    """
    if config.method == "sib":
        return _spatial_ib(config, device)
    if config.method == "ce":
        return None
    options = config.objective_options
    floor = options.pop("balance_floor")
    if options.pop("balance"):
        options["weighting"] = GradientBalancer(floor=floor)
    return load_objective(config.method)(**options)


def _spatial_ib(config: TrainConfig, device: torch.device) -> Objective:
    """The published or the calibrated objective."""
    options = config.objective_options
    if config.objective.kind == "calibrated":
        return CalibratedSpatialIB(**options)
    _check_window(config)
    together = config.hsic_scope == "global"
    seed = config.seed if together else distributed.rank_seed(config.seed)
    generator = torch.Generator(device).manual_seed(seed)
    return SpatialIB(hsic_scope=config.hsic_scope, generator=generator, **options)


def describe_objective(config: TrainConfig) -> str:
    """Describe the run's S-IB objective, and how to get the other one."""
    own = config.objective
    if own.kind == "published":
        return (
            f"S-IB objective: published, λ_fg {own.foreground_weight:g}, λ_bg "
            f"{own.background_weight:g}. For the one that needs no tuning, give --objective "
            "calibrated"
        )
    weights = ", ".join(f"{weight:g} ({name})" for name, weight in own.term_weights.items())
    sentences = ["S-IB objective: calibrated"]
    if own.balance:
        sentences.append(f"The norm of each term's gradient, over cross-entropy's, is {weights}")
    else:
        sentences.append(f"The factors of its terms are {weights}")
    if own.balance and (floor := config.balance_floor):
        least = "its largest" if floor == 1 else f"{floor:g} of its largest"
        sentences.append(f"The norm of cross-entropy's gradient counts as at least {least} so far")
    sentences.append("For the paper's objective, give --objective published")
    return ". ".join(sentences)


def deviations(config: TrainConfig) -> list[str]:
    """Where the configuration deviates from the method, in words."""
    found = []
    if config.every_n_steps > 1:
        found.append(
            f"the S-IB terms are computed on one step in {config.every_n_steps}, and count "
            f"{config.every_n_steps} times there"
        )
    if config.sib_fraction < 1:
        found.append(f"the S-IB terms are computed on {config.sib_fraction:g} of each batch")
    return found


def _check_window(config: TrainConfig) -> None:
    """Raise ValueError if a window does not fit into the images."""
    shorter, found = min(height_width(config.side)), size_in_words(config.side)
    if config.objective.alignment == "ssim" and shorter < WINDOW:
        raise ValueError(
            f"alignment ssim needs images of at least {WINDOW} × {WINDOW} pixels; got {found}"
        )
    if config.objective.mask in ("density", "hard") and config.objective.window_size > shorter:
        raise ValueError(
            f"window-size must not exceed the image: {config.objective.window_size} pixels do not "
            f"fit into {found}; set --objective.window-size"
        )


def make_autocast(config: TrainConfig, device: torch.device) -> Callable[[], torch.autocast]:
    """Make the mixed-precision context of a step."""
    enabled = config.precision != "float32"
    dtype = torch.float16 if config.precision == "float16" else torch.bfloat16
    return lambda: torch.autocast(device.type, dtype=dtype, enabled=enabled)
