"""A run's found foregrounds: when they are found, stored, read again and used."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from sib import distributed
from sib.config.train import TrainConfig
from sib.data import Splits
from sib.data.found import EnlargedSource, FoundSource
from sib.data.transforms import CACHEABLE
from sib.functional.area import Area
from sib.models.start import Start
from sib.runs.folder import RunFolder
from sib.runs.foreground_file import NAME, FoundForegrounds, read_foregrounds
from sib.tasks.task import Task
from sib.training.found_foreground import View, find_foregrounds, find_layer
from sib.training.guidance import is_chosen
from sib.training.reporter import Reporter
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, check_size, height_width, size_in_words


def run_foregrounds(
    config: TrainConfig,
    task: Task,
    splits: Splits,
    start: Start | None,
    run: RunFolder,
    reporter: Reporter,
) -> FoundForegrounds | None:
    """The foregrounds of a run's training images; the first process finds or reads them.

    Args:
        config: the run's options, with every ``auto`` decided.
        task: the task with the start network, on its device, and the calibrated objective.
        splits: the splits as opened, without a cache.
        start: the model's weights; None where a run continues from a saved state.
        run: the run folder.
        reporter: shows what happens.

    Returns:
        The foregrounds; None where the run uses colours, and for a dry run.

    Raises:
        InputError: they cannot be found or read, or belong to other images.
    """
    if config.foreground != "pretrained":
        if config.is_calibrated:
            reporter.info(
                "foreground: colours, found in each batch from those the reconstruction favours"
            )
        return None

    def obtain() -> FoundForegrounds | None:
        if not distributed.is_main_process():
            return None
        if config.resume and (start is None or (run.path / NAME).exists()):
            return _read(config, splits, run, reporter)
        assert start is not None
        area = config.objective.foreground_area
        return look_for(config, task.model, area, splits, start, reporter.info, reporter.batches)

    return distributed.broadcast_object(distributed.raise_on_all_ranks(obtain))


def with_foregrounds(config: TrainConfig, splits: Splits, found: FoundForegrounds | None) -> Splits:
    """Replace annotation that training may not use by found foregrounds.

    Validation and test keep their annotation, for measuring.
    """
    if found is None:
        return splits
    keeps = [is_chosen(name, config.annotated_share, config.seed) for name in splits.train.names]
    source = FoundSource(
        splits.train,
        dict(zip(found.names, found.maps, strict=True)),
        found.facts["area"],
        config.side,
        found.facts["resize"],
        keeps,
    )
    return dataclasses.replace(splits, train=source)


def describe_foregrounds(found: FoundForegrounds) -> list[str]:
    """Describe how foregrounds were found, and how good they are."""
    facts = found.facts
    shape = " × ".join(map(str, facts["shape"]))
    size = size_in_words(check_size(facts["image_size"]))
    return [
        f"foreground: pretrained, {describe_area(facts['area'])} the start network's features are "
        f"largest along their first principal component; {facts['layer']} ({shape}) at {size} "
        f"pixels, {facts['images']} images, {facts['explained']:.0%} of the variance",
        describe_quality(facts["quality"]),
    ]


def describe_area(area: Area) -> str:
    """Describe the part of an image that a map marks; "the features are largest" completes it."""
    if area == "otsu":
        return "by Otsu's threshold the part of each image where"
    return f"the {area:g} of each image where"


def describe_quality(quality: dict[str, float] | None) -> str:
    """Describe a record of `ForegroundQuality`; older ones lack recall and area."""
    if quality is None:
        return "found foregrounds: not measured, since no training image is annotated"
    covered = f", and they cover {quality['recall']:.3f} of it" if "recall" in quality else ""
    area = f", mean area {quality['area']:.3f}" if "area" in quality else ""
    sentence = (
        f"found foregrounds: {quality['found']:.3f} of their area lies on the annotated object"
        f"{covered} ({quality['images']} training images{area}); of a centred disc of the same "
        f"area {quality['disc']:.3f}, of the whole image {quality['even']:.3f}"
    )
    if quality["found"] < quality["disc"]:
        sentence += "; warning: a disc at the centre of every image is better"
    return sentence


def look_for(
    config: TrainConfig,
    model: nn.Module,
    area: Area,
    splits: Splits,
    start: Start,
    info: Callable[[str], object],
    track: Callable[[str, Any], Iterable[Any]],
) -> FoundForegrounds | None:
    """Find the foregrounds of the training images; None in a dry run.

    Args:
        config: the run's options, with every ``auto`` decided.
        model: the start network, on its device.
        area: which part of an image is foreground, see `sib.functional.area.marked_area`.
        splits: the splits as opened, without a cache.
        start: the model's weights.
        info: called with a sentence about what happens.
        track: passes batches on and shows progress, as `Reporter.batches` does.

    Raises:
        InputError: they cannot be found.
    """
    device = next(model.parameters()).device
    layer, view = config.objective.foreground_layer, _view(config, device)
    try:
        place = find_layer(model, view, layer)
    except ValueError as error:
        option = "--foreground pretrained" if layer is None else "--objective.foreground-layer"
        raise InputError(f"{option}: {error}; or give --foreground colours") from None
    larger = view._replace(image_size=_larger(config.side, start.image_size))
    if place.reshape is None and _takes(model, larger, layer):  # the number of tokens is fixed
        view = larger
    if config.dry_run:
        info("foreground: pretrained, to be found before the first step")
        return None
    info(f"foreground: passing {len(splits.train)} training images through the start network")
    source = EnlargedSource(splits.train, config.side, view.image_size)
    found = find_foregrounds(
        model, source, view, area, layer, config.seed, partial(track, "finding foregrounds")
    )
    for sentence in describe_foregrounds(found):
        info(sentence)
    return found


def _view(config: TrainConfig, device: torch.device) -> View:
    """How images are shown: at the run's input size, or whole where random crops show any part."""
    return View(
        config.side,
        config.input.resize if config.input.augment in CACHEABLE else None,
        config.input.normalization,
        device,
        config.workers,
        config.on_bad_image == "skip",
    )


def _larger(size: ImageSize, trained: ImageSize | None) -> ImageSize:
    """The size that the weights were trained with, if it is larger and shows the same part."""
    if trained is None:
        return size
    (height, width), (other_height, other_width) = height_width(size), height_width(trained)
    fits = height * other_width == width * other_height and other_height > height
    return trained if fits else size


def _takes(model: nn.Module, view: View, layer: str | None) -> bool:
    """Whether a model takes images of a view's size."""
    try:
        find_layer(model, view, layer)
    except Exception:  # a model may raise anything; the run's own size is used, and printed
        return False
    return True


def _read(
    config: TrainConfig, splits: Splits, run: RunFolder, reporter: Reporter
) -> FoundForegrounds:
    found = read_foregrounds(run.path)
    known, names = set(splits.train.names), set(found.names)
    if not names <= known or (names != known and config.on_bad_image != "skip"):
        raise InputError(
            f"{run.path / NAME} belongs to other images: {len(names - known)} of its "
            f"{len(names)} are not among the {len(known)} training images, and "
            f"{len(known - names)} of those are not in it"
        )
    reporter.info(f"foreground: pretrained, read from {run.path / NAME}")
    return found
