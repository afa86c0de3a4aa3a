"""``sib data show``: a sheet of images of a data set, their foregrounds outlined."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from sib.config.data import ShowConfig
from sib.data.annotation_notes import sentences
from sib.data.open import Splits, open_data
from sib.data.sample import names_of
from sib.data.source import Source
from sib.data.understood import left_out_in_words, mask_sentences
from sib.utils.errors import InputError

if TYPE_CHECKING:
    from sib.figures.sheet import Picture

MOST = 200
LONGEST = 32
"""Characters of a class name under a picture that is two inches wide."""


def show(
    config: ShowConfig,
    console: Console,
    open_source: Callable[[], tuple[str, Source]] | None = None,
) -> None:
    """Draw the sheet.

    Args:
        config: the command's options.
        console: console to print to.
        open_source: returns the name of the data set and its images with what is outlined. None
            for the split with its annotation.

    Raises:
        InputError: an argument that is not allowed, a problem with the data set, or a file that
            cannot be written.
    """
    if not 1 <= config.count <= MOST:
        raise InputError(f"--count must be 1 to {MOST}; got {config.count}")
    if config.seed < 0:
        raise InputError(f"--seed must be at least 0; got {config.seed}")
    if config.out.suffix.lower() != ".png":
        raise InputError(f"--out must end with .png; got {config.out}")
    from sib.figures.sheet import draw_sheet  # with matplotlib, which no other part of data needs

    name, source = _annotated(config, console) if open_source is None else open_source()
    pictures = _pictures(config, source, console)
    title = f"{name}: {len(pictures)} of {len(source)} images of {config.split}"
    try:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        draw_sheet(config.out, title, pictures)
    except OSError as error:
        raise InputError(f"--out {config.out} cannot be written: {error.strerror}") from None
    console.print(f"sheet: {config.out}", highlight=False, soft_wrap=True, markup=False)


def _annotated(config: ShowConfig, console: Console) -> tuple[str, Source]:
    """Name of the data set, and the split."""
    splits = open_data(
        config.name,
        root=config.root,
        masks=config.masks,
        mask_ending=config.mask_ending,
        value_range=config.value_range,
        annotations=None if config.annotations is None else str(config.annotations),
        skip_bad=config.on_bad_image == "skip",
        needs_training=config.split == "train",
        labels=config.labels,
    )
    for sentence in (*sentences(splits.description), *_left_out(splits)):
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)
    return splits.name, getattr(splits, config.split)


def _pictures(config: ShowConfig, source: Source, console: Console) -> list["Picture"]:
    """The pictures of the images that are drawn; others take the place of unreadable ones."""
    found: dict[int, Picture] = {}
    for index in np.random.default_rng(config.seed).permutation(len(source)).tolist():
        try:
            found[index] = _picture(source, index)
        except InputError as error:
            if config.on_bad_image != "skip":
                raise
            console.print(f"left out: {error}", highlight=False, soft_wrap=True, markup=False)
        if len(found) == config.count:
            break
    if not found:
        raise InputError(f"no {config.split} image of {config.name} can be read")
    return [found[index] for index in sorted(found)]


def _left_out(splits: Splits) -> list[str]:
    """A sentence about the images whose header cannot be read."""
    left_out = left_out_in_words(splits.description)
    unused = [f"left out: {left_out}"] if left_out else []
    return mask_sentences(splits.description) + unused


def _picture(source: Source, index: int) -> "Picture":
    from sib.figures.sheet import Picture

    sample = source[index]
    name = names_of(sample.label, source.classes)
    caption = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return Picture(sample.image, sample.foreground, caption)
