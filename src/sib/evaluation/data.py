"""The images that a checkpoint is shown."""

import inspect
from pathlib import Path

import numpy as np

from sib.data import Splits, open_data
from sib.data.sample import Sample
from sib.data.source import Source
from sib.evaluation.checkpoint import Checkpoint
from sib.utils.errors import InputError


def open_run_data(
    checkpoint: Checkpoint,
    data: str | None,
    root: Path | None,
    annotations: Path | None = None,
) -> Splits:
    """The data set of a checkpoint's run, or the one that is given.

    Raises:
        InputError: none is known, or it cannot be read.
    """
    config = checkpoint.run.config if checkpoint.run else {}
    options = config.get("input") or {}
    if not isinstance(options, dict):
        raise InputError(f"{checkpoint.folder / 'config.yaml'} is damaged: input holds no options")
    if data is None and "data" not in config:
        raise InputError(f"{checkpoint.path} does not tell its data: give --data")
    allowed = inspect.signature(open_data).parameters
    given = {
        **options,
        "root": root or config.get("root"),
        "annotations": str(annotations) if annotations else options.get("annotations"),
        "hold_out_validation": config.get("selection", "validation") == "validation",
    }
    kept = {name: value for name, value in given.items() if name in allowed and value is not None}
    try:
        return open_data(data or config["data"], **kept, image_size=checkpoint.image_size)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        if checkpoint.run is None:
            raise
        file = checkpoint.folder / "config.yaml"
        raise InputError(f"{file} is damaged: its data cannot be opened: {error}") from error


def check_classes(checkpoint: Checkpoint, splits: Splits) -> None:
    """Raise InputError where the classifier has other classes than the data.

    A file without class names is taken to have the data's classes in their order.
    """
    if checkpoint.outputs != len(splits.classes):
        raise InputError(
            f"{checkpoint.path} has {checkpoint.outputs} classes, and {splits.name} has "
            f"{len(splits.classes)}"
        )
    for own, other in zip(checkpoint.classes or splits.classes, splits.classes, strict=True):
        if own != other:
            raise InputError(
                f"{checkpoint.path} has a class {own!r} where {splits.name} has {other!r}: "
                "the classes must be the same, in the same order"
            )


class Subset:
    """The images of a source at given places, in that order."""

    def __init__(self, source: Source, places: list[int]) -> None:
        self._source, self._places = source, places
        self.classes = source.classes
        self.labels = [source.labels[place] for place in places]
        self.names = [source.names[place] for place in places]
        self.annotated = source.annotated

    def __len__(self) -> int:
        """Number of images."""
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """Image ``index`` of the part."""
        return self._source[self._places[index]]


def limited(source: Source, limit: int | None) -> Source:
    """At most ``limit`` images, spread over the source; see `spread`."""
    if limit is None or limit >= len(source):
        return source
    return Subset(source, spread(limit, len(source)))


def spread(count: int, total: int) -> list[int]:
    """At most ``count`` places, one drawn from each of as many equal parts; always the same ones.

    A fixed step would meet one class alone where classes take turns.
    """
    count = min(count, total)
    edges = [index * total // count for index in range(count + 1)]
    draws = np.random.default_rng(0).random(count)
    return [
        low + int(draw * (high - low))
        for low, high, draw in zip(edges[:-1], edges[1:], draws, strict=True)
    ]
