"""``sib data show``, with the foregrounds that a start network finds."""

from dataclasses import fields

from rich.console import Console

from sib.config.data import ShowConfig
from sib.config.options import InputConfig, ObjectiveConfig
from sib.config.train import TrainConfig
from sib.data import show as sheet
from sib.data.annotation_notes import sentences
from sib.data.source import Source
from sib.training.foregrounds import look_for, with_foregrounds
from sib.training.splits import open_splits
from sib.training.start import build_model, read_weights_of, resolve
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.progress_bar import tracked

AS_OF_TRAIN = {
    "--input.normalization": "--normalization",
    "--objective.foreground-layer": "--layer",
    "--objective.foreground-area": "--area",
    "; or give --foreground colours": "",
}
"""Phrases about a run, and their replacements here."""
OF_THE_NETWORK = ("arch", "weights", "image_size", "normalization", "layer", "area", "device")
"""Options that are used only if a network looks at the images."""


def show(config: ShowConfig, console: Console) -> None:
    """Draw the sheet, with annotated or found foregrounds.

    Raises:
        InputError: see `sib.data.show.show` and `find_foregrounds`; or an option is unused.
    """
    _check(config)
    if config.foreground == "annotation":
        sheet.show(config, console)
        return
    try:
        sheet.show(config, console, lambda: _with_found_foregrounds(config, console))
    except InputError as error:
        sentence = str(error)
        for theirs, ours in AS_OF_TRAIN.items():
            sentence = sentence.replace(theirs, ours)
        raise InputError(sentence) from None


def _check(config: ShowConfig) -> None:
    if config.foreground == "pretrained":
        if config.weights is None:
            raise InputError("--foreground pretrained needs a network: give --weights and --arch")
        if config.split != "train":
            raise InputError(
                "--foreground pretrained uses the training images, so --split must be train; got "
                f"{config.split}"
            )
        return
    defaults = {item.name: item.default for item in fields(ShowConfig)}
    for name in OF_THE_NETWORK:
        if getattr(config, name) != defaults[name]:
            raise InputError(
                f"--{name.replace('_', '-')} is for --foreground pretrained; got annotation"
            )


def _with_found_foregrounds(config: ShowConfig, console: Console) -> tuple[str, Source]:
    """Name of the data set, and its training images with the foregrounds that the network finds."""

    def info(sentence: str) -> None:
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)

    run = _as_run(config)
    start = read_weights_of(run)
    assert start is not None  # as checked above
    run = resolve(run, start)
    splits = open_splits(run)
    for sentence in sentences(splits.description):
        info(sentence)
    model, _ = build_model(run, splits.classes, start)
    model = model.to(choose_device(config.device))
    found = look_for(
        run,
        model,
        run.objective.foreground_area,
        splits,
        start,
        info,
        lambda what, loader: tracked(console, what, loader, len(loader)),
    )
    return splits.name, with_foregrounds(run, splits, found).train


def _as_run(config: ShowConfig) -> TrainConfig:
    """The run that would find the same foregrounds."""
    given = InputConfig(
        masks=config.masks,
        mask_ending=config.mask_ending,
        value_range=config.value_range,
        annotations=None if config.annotations is None else str(config.annotations),
        normalization=config.normalization,
    )
    return TrainConfig(
        data=config.name,
        root=config.root,
        arch=config.arch,
        weights=config.weights,
        image_size=config.image_size,
        on_bad_image=config.on_bad_image,
        foreground="pretrained",
        workers=0,
        objective=ObjectiveConfig(foreground_layer=config.layer, foreground_area=config.area),
        input=given,
    )
