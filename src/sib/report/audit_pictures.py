"""The images of an audit, recomputed as the classifier was shown them."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sib.data.loader import first_batch, make_loader
from sib.data.normalization import normalise
from sib.data.sample import Batch
from sib.data.source import Source
from sib.data.subset import SubsetSource
from sib.evaluation.audit.figures import classes_of
from sib.evaluation.audit.words import ORIGINAL, is_several
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.foregrounds import LabelForegrounds
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
from sib.metrics.behaviour.label_pairs import pairs_of
from sib.report.audit_cells import MAP, Cell, cell_of
from sib.report.audit_losses import possible
from sib.utils.errors import InputError
from sib.utils.files import sha256_of
from sib.utils.image_size import plain_size
from sib.utils.normalization import statistics


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


def rows_of(
    audit: Evaluation,
    checkpoint: Checkpoint,
    source: Source,
    places: list[int],
    columns: list[str],
    device: torch.device,
    objects: LabelForegrounds | None = None,
) -> list[Row]:
    """Recompute the pictures of these images.

    Args:
        audit: the audit that they belong to.
        checkpoint: its classifier.
        source: the audited images, in the same order.
        places: rows of the audit's scores.
        columns: conditions, including ``"original"`` and ``"occlusion"``.
        device: the model's device.
        objects: the objects of each label; None for one class an image.

    Raises:
        InputError: the data or the weights are not those of the audit.
    """
    names = list(source.names)
    if names != list(dict.fromkeys(audit.scores.names)):
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
                f"{audit.folder} was audited with {name} {audit.facts[name]}, but is opened with "
                f"{value} now"
            )
    own = [names.index(audit.scores.names[place]) for place in places]
    shown_images = _read(source, checkpoint, own, objects, classes_of(audit.scores)[places])
    donors = audit.scores.column(ORIGINAL, "donor")[places]
    lent = _read(source, checkpoint, [int(d) if d >= 0 else 0 for d in donors], objects)
    chosen = [[possible(audit.scores, place, column) for column in columns] for place in places]
    pixels: dict[str, np.ndarray] = {}
    for column in dict.fromkeys(name for row in chosen for name in row):
        if column == MAP:
            pixels[column] = _maps(audit, checkpoint, shown_images, places, device)
        else:
            changed = _changed(column, audit, checkpoint, shown_images, lent)
            pixels[column] = _bytes(changed, checkpoint)
    return [
        Row(
            audit.scores.names[place],
            audit.facts["classes"][int(classes_of(audit.scores)[place])],
            [cell_of(audit, place, name, pixels[name][index]) for name in chosen[index]],
        )
        for index, place in enumerate(places)
    ]


class _Read(NamedTuple):
    """Images and their foregrounds."""

    images: Tensor
    """uint8 (B, 3, H, W)."""
    union: Tensor
    """(B, 1, H, W), of all objects."""
    own: Tensor
    """(B, 1, H, W), of the objects of the label that each image is shown for."""


def _read(
    source: Source,
    checkpoint: Checkpoint,
    places: list[int],
    objects: LabelForegrounds | None,
    labels: np.ndarray | None = None,
) -> _Read:
    """Read images; with several labels, ``labels`` (B,) are those that they are shown for."""
    loader = make_loader(
        SubsetSource(source, places),
        image_size=checkpoint.image_size,
        resize=checkpoint.resize,
        batch_size=len(places),
        train=False,
    )
    batch: Batch = first_batch(loader)
    if objects is None:
        return _Read(batch.images, batch.foreground, batch.foreground)
    union, own = objects.of_labels(batch.names, batch.labels, batch.foreground)
    if labels is None:
        return _Read(batch.images, union, union)
    pairs = pairs_of(batch.labels.bool(), union, own)
    keys = list(zip(pairs.images.tolist(), pairs.labels.tolist(), strict=True))
    rows = [keys.index((place, int(label))) for place, label in enumerate(labels)]
    return _Read(batch.images, union, pairs.own[rows])


def _changed(
    column: str, audit: Evaluation, checkpoint: Checkpoint, batch: _Read, lent: _Read
) -> Tensor:
    """Normalised images under a condition, as the audit showed them."""
    cpu = torch.device("cpu")
    images = normalise(batch.images, cpu, checkpoint.normalization)
    kind, _, fill = column.rpartition("_")
    if column == ORIGINAL:
        return images
    if kind == "background_alone":
        return remove_object(images, batch.own, fill)
    if kind == "exchanged":
        others = normalise(lent.images, cpu, checkpoint.normalization)
        background = remove_object(others, lent.union, fill)
        return before_background(images, batch.union, background)
    if column == "blurred":
        return blur_background(images, batch.union)
    if column == "greyed":
        mean, deviation = statistics(checkpoint.normalization)
        return grey_background(images, batch.union, mean=mean, deviation=deviation)
    if column == "noised":
        options = audit.facts["options"]
        amount, seed = options["noise"], options["seed"]
        return noise_background(images, batch.union, amount=amount, seed=seed)
    return keep_object(images, batch.own)


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
    batch: _Read,
    places: list[int],
    device: torch.device,
) -> np.ndarray:
    images = normalise(batch.images, device, checkpoint.normalization)
    scores = audit.scores
    decided = classes_of(scores) if is_several(audit.facts) else np.array(scores.predicted)
    explained = torch.tensor(decided[places], device=device).long()
    found = maps_of(checkpoint.model, images, explained, [MAP])[MAP]
    maps = normalize_maps(found, "percentile").cpu()
    shown = zip(batch.images, maps, batch.own, strict=True)
    return np.stack([overlay_pixels(*parts, signed=True) for parts in shown])
