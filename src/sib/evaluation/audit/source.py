"""The images of an audit with their foregrounds, found by a network if none are annotated."""

from typing import Any, NamedTuple

import torch
from rich.console import Console

from sib.config.options import ObjectiveConfig
from sib.data import Splits
from sib.data.found import FoundSource
from sib.data.source import Source
from sib.data.subset import limited, without_unreadable
from sib.data.understood import plural
from sib.evaluation.checkpoint import Checkpoint
from sib.functional.area import Area
from sib.models.build import build_from
from sib.models.start import read_start
from sib.runs.foreground_file import FoundForegrounds
from sib.training.foregrounds import describe_area
from sib.training.found_foreground import View, find_foregrounds
from sib.utils.errors import InputError

ANNOTATED, FOUND = "annotated", "found"


class AuditSource(NamedTuple):
    """The images to audit."""

    source: Source
    foreground: str
    """``"annotated"``, or ``"found"`` by the network that the run started from."""
    words: str
    """How foregrounds were found; empty if they are annotated."""
    skipped: list[str]
    """What is wrong with the images left out because they cannot be read."""


def start_of(checkpoint: Checkpoint) -> str | None:
    """The weights that a run started from; None for random ones, and for a file of weights."""
    weights = checkpoint.run.config.get("weights") if checkpoint.run else None
    return weights if isinstance(weights, str) else None


def check_foreground(checkpoint: Checkpoint, splits: Splits, split: str) -> None:
    """Raise InputError if foregrounds are neither annotated nor can be found."""
    if not getattr(splits, split).annotated and start_of(checkpoint) is None:
        raise InputError(
            f"the {split} images of {splits.name} have no foreground, which an audit needs to tell "
            "the object from its background: give --annotations, put a mask NAME_mask.png beside "
            "each image, or audit a run that started from trained weights, which can find them"
        )


def audit_source(
    checkpoint: Checkpoint,
    splits: Splits,
    options: dict[str, Any],
    device: torch.device,
    console: Console,
    workers: int = 0,
    skip_bad: bool = False,
) -> AuditSource:
    """The images to audit.

    Args:
        checkpoint: the classifier.
        splits: its data.
        options: the audit's options; ``split`` and ``limit`` select the images.
        device: for the network that finds foregrounds.
        console: reports that foregrounds are found.
        workers: processes that read images.
        skip_bad: leave images out that cannot be read, which reads each of them once more.

    Raises:
        InputError: foregrounds are neither annotated nor can be found, or no image can be read.
    """
    check_foreground(checkpoint, splits, options["split"])
    source = limited(getattr(splits, options["split"]), options["limit"])
    source, skipped = without_unreadable(source, splits.name) if skip_bad else (source, [])
    if skipped:
        sentence = f"left out: {plural(len(skipped))} that cannot be read, the first: {skipped[0]}"
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if source.annotated:
        return AuditSource(source, ANNOTATED, "", skipped)
    found = _find(checkpoint, source, device, workers)
    maps = dict(zip(found.names, found.maps, strict=True))
    words = (
        f"No image is annotated: foregrounds were found, {describe_area(found.facts['area'])} the "
        f"features of {start_of(checkpoint)}, which the run started from, are largest along their "
        "first principal component. They are rougher than annotated ones, and so are these figures."
    )
    console.print(words, highlight=False, markup=False, soft_wrap=True)
    area, size, resize = found.facts["area"], checkpoint.image_size, checkpoint.resize
    known = [False] * len(source)
    return AuditSource(FoundSource(source, maps, area, size, resize, known), FOUND, words, skipped)


def _find(
    checkpoint: Checkpoint, source: Source, device: torch.device, workers: int
) -> FoundForegrounds:
    weights, size = start_of(checkpoint), checkpoint.image_size
    assert weights is not None  # as checked above
    start = read_start(weights, checkpoint.arch, size)
    model = build_from(start, checkpoint.arch, checkpoint.outputs, size)[0].to(device).eval()
    normalization = start.normalization or checkpoint.normalization
    view = View(size, checkpoint.resize, normalization, device, workers)
    area, layer = _options_of(checkpoint)
    try:
        return find_foregrounds(model, source, view, area, layer)
    except InputError as error:
        raise InputError(f"foregrounds cannot be found: {error}") from None


def _options_of(checkpoint: Checkpoint) -> tuple[Area, str | None]:
    """Area and layer as the run found foregrounds with."""
    own = checkpoint.run.config.get("objective") if checkpoint.run else None
    own = own if isinstance(own, dict) else {}
    area = own.get("foreground_area", ObjectiveConfig().foreground_area)
    layer = own.get("foreground_layer")
    if not (area == "otsu" or isinstance(area, float)) or not (
        layer is None or isinstance(layer, str)
    ):
        raise InputError(
            f"{checkpoint.folder / 'config.yaml'} is damaged: its foreground_area must be "
            f"a number or otsu, and its foreground_layer a name; got {area!r} and {layer!r}"
        )
    return area, layer
