"""The images of an audit, recomputed: what the classifier was shown, and what it decided."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sib.data.loader import first_batch, make_loader
from sib.data.normalization import normalise
from sib.data.sample import Batch, labels_of
from sib.data.source import Source
from sib.data.subset import SubsetSource
from sib.evaluation.audit.figures import ORIGINAL, title
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.maps import maps_of
from sib.evaluation.scores import Scores
from sib.evaluation.stored import Evaluation
from sib.explain.normalization import normalize_maps
from sib.figures.pixels import overlay_pixels
from sib.metrics.behaviour import (
    FILLS,
    before_background,
    blur_background,
    grey_background,
    keep_object,
    noise_background,
    remove_object,
)
from sib.report.audit_losses import possible, probability
from sib.report.gallery import jpeg_uri
from sib.utils.errors import InputError
from sib.utils.files import sha256_of
from sib.utils.image_size import plain_size
from sib.utils.normalization import statistics

MAP = "occlusion"
"""An explanation that needs no gradient and can be put into words."""
MAP_TITLE = "where covering a part costs it most"


class Cell(NamedTuple):
    """One picture and the decision about it."""

    uri: str
    alt: str
    said: str
    changed: bool
    """Whether the decision differs from that for the unchanged image, although the object stays."""


class Row(NamedTuple):
    """One image under several conditions."""

    name: str
    label: str
    cells: list[Cell]


def columns_of(scores: Scores, kinds: tuple[str, ...]) -> list[str]:
    """The audited conditions of these kinds, with one way of filling each."""
    names = {condition for condition, _ in scores.columns} | {MAP}
    found = []
    for kind in kinds:
        filled = (f"{kind}_{fill}" for fill in reversed(FILLS))
        name = next((n for n in (kind, *filled) if n in names), None)
        if name is not None:
            found.append(name)
    return found


def titles(columns: list[str]) -> list[str]:
    """Their names in plain words."""
    return [MAP_TITLE if c == MAP else title(c).partition(" (")[0] for c in columns]


def rows_of(
    audit: Evaluation,
    checkpoint: Checkpoint,
    source: Source,
    places: list[int],
    columns: list[str],
    device: torch.device,
) -> list[Row]:
    """Recompute the pictures of these images.

    Args:
        audit: the audit that they belong to.
        checkpoint: its classifier.
        source: the audited images, in the same order.
        places: indices of the images.
        columns: conditions, including ``"original"`` and ``"occlusion"``.
        device: the model's device.

    Raises:
        InputError: the data or the weights are not those of the audit.
    """
    if list(source.names) != audit.scores.names:
        raise InputError(f"the images of {audit.folder} are no longer those of its audit")
    if sha256_of(checkpoint.path) != audit.facts["weights_sha256"]:
        raise InputError(f"the weights of {audit.folder} are no longer those of its audit")
    shown = {
        "image_size": plain_size(checkpoint.image_size),
        "resize": checkpoint.resize,
        "normalization": checkpoint.normalization,
    }
    for name, value in shown.items():
        if audit.facts[name] != value:
            raise InputError(
                f"{audit.folder} was audited with {name} {audit.facts[name]}, and is opened with "
                f"{value}"
            )
    batch = _read(source, checkpoint, places)
    donors = audit.scores.column(ORIGINAL, "donor")[places]
    lent = _read(source, checkpoint, [int(d) if d >= 0 else 0 for d in donors])
    names = [[possible(audit.scores, place, column) for column in columns] for place in places]
    pixels: dict[str, np.ndarray] = {}
    for column in dict.fromkeys(name for row in names for name in row):
        if column == MAP:
            pixels[column] = _maps(audit, checkpoint, batch, places, device)
        else:
            changed = _changed(column, audit, checkpoint, batch, lent)
            pixels[column] = _bytes(changed, checkpoint)
    return [
        Row(
            audit.scores.names[place],
            audit.facts["classes"][audit.scores.labels[place]],
            [_cell(audit, place, name, pixels[name][index]) for name in names[index]],
        )
        for index, place in enumerate(places)
    ]


def _read(source: Source, checkpoint: Checkpoint, places: list[int]) -> Batch:
    loader = make_loader(
        SubsetSource(source, places),
        image_size=checkpoint.image_size,
        resize=checkpoint.resize,
        batch_size=len(places),
        train=False,
    )
    return first_batch(loader)


def _changed(
    column: str, audit: Evaluation, checkpoint: Checkpoint, batch: Batch, lent: Batch
) -> Tensor:
    """Normalised images under a condition, as the audit showed them."""
    cpu = torch.device("cpu")
    images = normalise(batch.images, cpu, checkpoint.normalization)
    kind, _, fill = column.rpartition("_")
    if column == ORIGINAL:
        return images
    if kind == "background_alone":
        return remove_object(images, batch.foreground, fill)
    if kind == "exchanged":
        others = normalise(lent.images, cpu, checkpoint.normalization)
        background = remove_object(others, lent.foreground, fill)
        return before_background(images, batch.foreground, background)
    if column == "blurred":
        return blur_background(images, batch.foreground)
    if column == "greyed":
        mean, deviation = statistics(checkpoint.normalization)
        return grey_background(images, batch.foreground, mean=mean, deviation=deviation)
    if column == "noised":
        options = audit.facts["options"]
        amount, seed = options["noise"], options["seed"]
        return noise_background(images, batch.foreground, amount=amount, seed=seed)
    return keep_object(images, batch.foreground)


def _bytes(images: Tensor, checkpoint: Checkpoint) -> np.ndarray:
    """Pictures, uint8 (B, H, W, 3)."""
    mean, deviation = (
        torch.tensor(values)[:, None, None] for values in statistics(checkpoint.normalization)
    )
    colours = (images.nan_to_num() * deviation + mean) * 255
    return colours.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def _maps(
    audit: Evaluation,
    checkpoint: Checkpoint,
    batch: Batch,
    places: list[int],
    device: torch.device,
) -> np.ndarray:
    images = normalise(batch.images, device, checkpoint.normalization)
    decided = torch.tensor([audit.scores.predicted[place] for place in places], device=device)
    found = maps_of(checkpoint.model, images, decided, [MAP])[MAP]
    maps = normalize_maps(found, "percentile").cpu()
    shown = zip(batch.images, maps, batch.foreground, strict=True)
    return np.stack([overlay_pixels(*parts) for parts in shown])


def _cell(audit: Evaluation, place: int, column: str, pixels: np.ndarray) -> Cell:
    scores, classes, name = audit.scores, audit.facts["classes"], audit.scores.names[place]
    before = scores.predicted[place]
    named = titles([column])[0]
    if column == MAP:
        return Cell(jpeg_uri(pixels), f"{name}, {named}", "", False)
    if column == ORIGINAL:
        after = float(*labels_of(before))
    else:
        after = scores.column(column, "predicted")[place]
    if np.isnan(after):
        return Cell("", "this change is not possible here", "", False)
    share = probability(scores, place, column)
    said = f"{classes[int(after)]} {share:.2f}"
    if column == ORIGINAL and before != scores.labels[place]:
        said += ", wrong"
    if after != before:
        said = f"{classes[int(after)]} ({classes[before]} {share:.2f})"
    marked = after != before and not column.startswith("background_alone")  # which has no object
    return Cell(jpeg_uri(pixels), f"{name}, {named}: {said}", said, marked)
