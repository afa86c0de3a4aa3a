"""Images of a page: each run's maps of them, and which images are worth a look."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sib.data import Splits, make_loader
from sib.data.loader import first_batch
from sib.data.normalization import normalise
from sib.data.sample import names_of
from sib.data.subset import SubsetSource
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.maps import maps_of
from sib.evaluation.scores import ENERGY, Scores, energies, shared_methods
from sib.explain import available_methods, method_title
from sib.explain.normalization import normalize_maps
from sib.figures.charts import data_uri
from sib.figures.pixels import outline, overlay_pixels

SIDE = 176
"""Side of a picture in pixels."""


class Cell(NamedTuple):
    """One map over one image."""

    uri: str
    alt: str
    energy: float | None
    """Share inside the foreground; None if the evaluation has none."""


class Row(NamedTuple):
    """One image under all runs and methods."""

    name: str
    label: str
    uri: str
    alt: str
    predictions: list[tuple[str, float, bool]]
    """For each run: class, probability, and whether it is right."""
    cells: list[Cell]


def differ_most(runs: Sequence[Scores], groups: Sequence[int], count: int) -> list[int]:
    """Images whose mean energy inside the foreground differs most between the groups of runs.

    Args:
        runs: scores of each run on the same images.
        groups: (runs,) index of each run's group.
        count: number of images; fewer if fewer have a value.
    """
    methods = shared_methods(runs)
    values = np.stack([energies(run, methods) for run in runs])
    means = [
        values[[i for i, own in enumerate(groups) if own == group]].mean(axis=0)
        for group in sorted(set(groups))
    ]
    spread = np.max(means, axis=0) - np.min(means, axis=0)
    return _largest(spread, count)


def worst(runs: Sequence[Scores], count: int) -> list[int]:
    """Images with the least energy inside a foreground relative to its size, mean over the runs."""
    share = np.array(runs[0].foreground_share)
    ratio = np.mean([energies(run) for run in runs], axis=0) / share
    return _largest(-ratio, count)


def confident_mistakes(runs: Sequence[Scores], count: int) -> list[int]:
    """Images that some run gets wrong, the most confident mistake first."""
    least = [np.where(run.correct == 1, -1.0, np.array(run.probability)) for run in runs]
    wrong = np.max(least, axis=0)
    return _largest(np.where(wrong < 0, np.nan, wrong), count)


def draw_rows(
    places: list[int],
    checkpoints: list[Checkpoint],
    runs: list[Scores],
    splits: Splits,
    split: str,
    by_name: dict[str, int],
    methods: tuple[str, ...],
    device: torch.device,
) -> list[Row]:
    """The rows of these images, with a column for each run and method, in that order.

    Args:
        places: indices of the images in the scores.
        checkpoints: the models.
        runs: their scores.
        splits: the data set.
        split: name of the split.
        by_name: index of each image in the split.
        methods: explanation methods; a column stays empty if the model does not support its method.
        device: the models' device.
    """
    source = SubsetSource(
        getattr(splits, split), [by_name[runs[0].names[place]] for place in places]
    )
    pictures: list[list[tuple[Tensor, Tensor]]] = []
    maps: list[dict[str, Tensor]] = []
    for checkpoint in checkpoints:
        loader = make_loader(
            source,
            image_size=checkpoint.image_size,
            resize=checkpoint.resize,
            batch_size=len(places),
            train=False,
        )
        batch = first_batch(loader)
        images = normalise(batch.images, device, checkpoint.normalization)
        chosen = available_methods(checkpoint.model, images, methods) if methods else []
        found = maps_of(checkpoint.model, images, None, chosen) if chosen else {}
        maps.append({m: normalize_maps(a, "percentile").cpu() for m, a in found.items()})
        pictures.append(list(zip(batch.images, batch.foreground, strict=True)))
    rows = []
    for index, place in enumerate(places):
        shown = [own[index] for own in pictures]
        rows.append(_row(index, place, checkpoints, runs, shown, maps, methods, splits.classes))
    return rows


def _row(
    index: int,
    place: int,
    checkpoints: list[Checkpoint],
    runs: list[Scores],
    shown: list[tuple[Tensor, Tensor]],
    maps: list[dict[str, Tensor]],
    methods: tuple[str, ...],
    classes: list[str],
) -> Row:
    name, label = runs[0].names[place], names_of(runs[0].labels[place], classes)
    cells = []
    for checkpoint, run, (image, foreground), own in zip(
        checkpoints, runs, shown, maps, strict=True
    ):
        for method in methods:
            if method not in own:
                cells.append(Cell("", f"{checkpoint.name} has no {method_title(method)}", None))
                continue
            energy = _energy_of(run, method, place)
            alt = f"{method_title(method)} of {checkpoint.name} on {name}"
            alt += f": {energy:.2f} of it inside the foreground" if energy is not None else ""
            pixels = overlay_pixels(image, own[method][index], foreground)
            cells.append(Cell(jpeg_uri(pixels), alt, energy))
    predictions = [
        (names_of(run.predicted[place], classes), run.probability[place], bool(run.correct[place]))
        for run in runs
    ]
    image, foreground = shown[0]
    outlined = outline(image.permute(1, 2, 0).numpy().copy(), foreground)
    known = "its foreground outlined" if bool(foreground.any()) else "foreground unknown"
    return Row(name, label, jpeg_uri(outlined), f"{name}, {known}", predictions, cells)


def jpeg_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture of the page, `SIDE` pixels wide and high."""
    content = BytesIO()
    image = Image.fromarray(pixels)
    if image.width != SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(content, format="JPEG", quality=82)
    return data_uri("image/jpeg", content.getvalue())


def _energy_of(run: Scores, method: str, place: int) -> float | None:
    pair = (method, ENERGY)
    if pair not in run.columns:
        return None
    value: Any = run.column(*pair)[place]
    return None if np.isnan(value) else float(value)


def _largest(values: NDArray[np.float64], count: int) -> list[int]:
    """Indices of the largest values, the largest first, without NaN."""
    order = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")
    return [int(place) for place in order[:count] if not np.isnan(values[place])]
