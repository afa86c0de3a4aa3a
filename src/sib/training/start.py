"""What a run starts from, and the options that follow from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sib.config.stored import stored_options
from sib.config.train import TrainConfig
from sib.data.locate import DIGITS
from sib.models.build import build, build_from
from sib.models.catalogue import check_known
from sib.models.memory_format import choose_memory_format, set_memory_format
from sib.models.start import Start, read_start
from sib.runs.archive import check_has_weights
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size, size_in_words


def read_weights_of(config: TrainConfig) -> Start | None:
    """The weights that a run starts from; None for random ones.

    Raises:
        InputError: they cannot be read, or their normalisation is unknown.
    """
    if config.weights is None:
        return None
    check_known(config.arch)
    check_has_weights(Path(config.weights))
    start = read_start(config.weights, config.arch, config.given_size)
    if config.input.normalization == "auto" and start.normalization is None:
        raise InputError(
            f"--weights {config.weights} does not state the normalisation of its images, and "
            f"{config.arch} has no published weights to take it from: give --input.normalization, "
            "such as half, imagenet or MEAN/STD"
        )
    return start


def resolve(config: TrainConfig, start: Start | None) -> TrainConfig:
    """The configuration with every ``auto`` decided by the weights that the run starts from."""
    normalization, size, batch_norm = "half", config.given_size, "train"
    foreground, resize = "colours", "crop"
    if start is not None:
        normalization, batch_norm = start.normalization or normalization, "frozen"
        foreground, resize = "pretrained", start.resize
        if config.data != DIGITS:  # whose images have their own size
            size = size or start.image_size
    return _decide(config, normalization, size, batch_norm, foreground, resize)


def resolve_as_recorded(config: TrainConfig, stored: dict[str, Any]) -> TrainConfig:
    """The configuration of a resumed run, with every ``auto`` as it was decided before.

    Args:
        config: as given to the resumed run.
        stored: content of the run's ``config.yaml``.
    """
    before = stored_options(stored)
    size = config.given_size or (before.get("image_size") if config.weights else None)
    normalization, batch_norm = before.get("input.normalization"), before.get("batch_norm")
    size = None if size is None else check_size(size)
    foreground = str(before.get("foreground"))
    if config.memory_format == "auto":
        known: Any = before.get("memory_format")
        config = replace(config, memory_format=known)
    resize = str(before.get("input.resize"))
    return _decide(config, str(normalization), size, str(batch_norm), foreground, resize)


def build_model(
    config: TrainConfig, classes: list[str], start: Start | None
) -> tuple[nn.Module, dict[str, Any] | None]:
    """The run's model, and the record of what it took from the weights.

    Raises:
        InputError: the weights do not fit the architecture.
    """
    if start is None:
        return build(config.arch, len(classes), config.side), None
    model, taken = build_from(start, config.arch, len(classes), config.side, classes)
    return model, start.describe() | {
        "taken": len(taken.taken),
        "new": taken.new,
        "left_out": taken.left_out,
        "words": str(taken),
    }


def with_memory_format(config: TrainConfig, model: nn.Module, device: torch.device) -> TrainConfig:
    """Store the model's weights in the run's memory format, and name it in the configuration."""
    chosen = config.memory_format
    if chosen == "auto":
        chosen = choose_memory_format(model, device)
    set_memory_format(model, chosen)
    return replace(config, memory_format=chosen)


def describe_start(config: TrainConfig, start: Start, record: dict[str, Any]) -> list[str]:
    """Describe what a run took from weights."""
    part = f" ({start.part})" if start.part else ""
    return [
        f"weights: {start.source}{part}, {record['words']}",
        f"batch norm: {describe_batch_norm(config)}",
    ]


def describe_input(config: TrainConfig, sources: dict[str, str]) -> str:
    """Describe size, normalisation and resize rule of the images, and where the rules come from.

    Args:
        config: decided.
        sources: as `input_sources` gives them.
    """
    return (
        f"input: {size_in_words(config.side)} pixels, normalisation {config.input.normalization} "
        f"({sources['normalization_source']}), resize {config.input.resize} "
        f"({sources['resize_source']})"
    )


def input_sources(config: TrainConfig, start: Start | None) -> dict[str, str]:
    """Where the normalisation and the resize rule of a run come from, as its record holds it.

    Args:
        config: before it was decided.
        start: the weights that the run starts from.
    """
    found = {}
    for name in ("normalization", "resize"):
        source = f"{name}_source"
        if config.resume:
            found[source] = "as recorded"
        elif getattr(config.input, name) != "auto":
            found[source] = "as given"
        elif start is None:
            found[source] = "the default for random weights"
        else:
            found[source] = getattr(start, source)
    return found


def describe_batch_norm(config: TrainConfig) -> str:
    """Describe what batch norm does."""
    if config.batch_norm == "frozen":
        return (
            "frozen, so it uses its running statistics and leaves them unchanged; its weight and "
            "bias are trained"
        )
    return "train, so it uses the statistics of each batch"


def _decide(
    config: TrainConfig,
    normalization: str,
    image_size: ImageSize | None,
    batch_norm: str,
    foreground: str,
    resize: str,
) -> TrainConfig:
    if config.input.normalization == "auto":
        config = replace(config, input=replace(config.input, normalization=normalization))
    if config.input.resize == "auto":
        config = replace(config, input=replace(config.input, resize=resize))
    if config.batch_norm == "auto":
        config = replace(config, batch_norm=batch_norm)  # type: ignore[arg-type]
    if config.guided_labels != "union":
        foreground = "colours"
    if config.foreground == "auto" and config.is_calibrated:
        config = replace(config, foreground=foreground)  # type: ignore[arg-type]
    return replace(config, image_size=image_size)
