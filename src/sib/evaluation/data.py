"""The images to show to a checkpoint."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sib.data import Splits, open_data
from sib.data.identity import ImageRow, read_rows, trained_on
from sib.data.locate import NAMES
from sib.data.recorded import HELD, OtherImages, open_recorded
from sib.data.records import RecordSource
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.stored import TRAINED_ON
from sib.runs.reader import IMAGES
from sib.utils.errors import InputError

RECORDED = ("masks", "mask_ending", "value_range", "annotations")
"""Options that `open_data` and `open_recorded` share."""
PLACED = ("masks", "annotations", "labels")
"""Options whose absolute paths a run records."""
OF_IMAGES = (*PLACED, "groups")
"""Options that belong to the images of one folder."""
OF_FOLDERS = (*RECORDED, "groups")
"""Options that published sets refuse."""


def open_run_data(
    checkpoint: Checkpoint,
    data: str | None,
    root: Path | None,
    *,
    masks: str | None = None,
    annotations: Path | None = None,
    labels: Path | None = None,
    split: str = "test",
    skip_bad: bool = False,
    info: Callable[[str], object] = lambda sentence: None,
) -> Splits:
    """The images of a checkpoint's run, or the given ones.

    A run's own images are those that it recorded, in the recorded splits. Images that were added
    since are left out, and a folder in which an image of the split is missing or differs is
    refused. The folder is the run's, if it still exists. Otherwise it is the path that the run was
    given, relative to the working folder. A given folder that holds the split's images is held to
    the record too; any other is read as it is, which is reported.

    Args:
        checkpoint: the classifier.
        data: published set or folder. Default: the run's own.
        root: folder of the published sets. Default: the run's own.
        masks: folder of foreground masks. Default: the run's own masks or annotations, if
            neither is given.
        annotations: boxes and masks, see `annotate`; defaults as for ``masks``.
        labels: a CSV of several labels an image. Default: the run's own.
        split: the split to show.
        skip_bad: leave out images that cannot be read.
        info: called with sentences about what was found.

    Raises:
        InputError: no images are known, they are not the run's, or they cannot be read.
    """
    config = checkpoint.run.config if checkpoint.run else {}
    options = config.get("input") or {}
    if not isinstance(options, dict):
        raise InputError(f"{checkpoint.folder / 'config.yaml'} is damaged: input holds no options")
    if data is None and "data" not in config:
        raise InputError(f"{checkpoint.path} does not name its data: give --data")
    given = {
        **options,
        "root": root or config.get("root") or "data",
        "hold_out_validation": config.get("selection", "validation") == "validation",
        "skip_bad": skip_bad,
        "labels": config.get("labels") if labels is None else str(labels),
    }
    rows = read_rows(checkpoint.folder / IMAGES) if checkpoint.run else None
    if masks is not None or annotations is not None:
        given["masks"] = masks
        given["annotations"] = None if annotations is None else str(annotations)
    try:
        if data is None:
            splits = _own(checkpoint, given, rows, split, info)
        else:
            splits = _given(checkpoint, data, given, rows, split, info)
        if given["labels"] != config.get("labels") and splits.description["split_rule"] == HELD:
            info(
                f"--labels {labels} is not used: these are the run's own images, with the labels "
                "that it recorded"
            )
        return splits
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        if checkpoint.run is None:
            raise
        file = checkpoint.folder / "config.yaml"
        raise InputError(f"{file} is damaged: its data cannot be opened: {error}") from error


def _own(
    checkpoint: Checkpoint,
    options: dict[str, Any],
    rows: list[ImageRow] | None,
    split: str,
    info: Callable[[str], object],
) -> Splits:
    """The run's images, where it found them."""
    assert checkpoint.run is not None
    record = checkpoint.run.environment.get("data")
    record = record if isinstance(record, dict) else {}
    data, options = _placed(checkpoint.run.config["data"], options, record)
    if data not in NAMES and not Path(data).expanduser().is_dir():
        path = record.get("path")
        place = f", and neither does {path}" if path and str(path) != str(data) else ""
        raise InputError(
            f"the images of {checkpoint.name} are gone: {data} does not exist{place}; name the "
            "folder that holds them with --data"
        )
    try:
        if rows is not None:
            return _recorded(checkpoint, data, options, rows, split, info)
        splits = _open(checkpoint, data, options)
    except OtherImages as error:
        raise InputError(f"{error}; name the folder that holds them with --data") from None
    now = splits.description["splits_sha256"]
    if "splits_sha256" not in record:
        info(f"{checkpoint.name} recorded no images, so {data} is read as it is now")
    if record.get("splits_sha256", now) != now:
        raise InputError(
            f"{data} does not hold the images that {checkpoint.folder} was trained with "
            f"({record.get('images')} then, {splits.description['images']} now), and test images "
            "may have been trained on; name a folder with --data"
        )
    return splits


def _given(
    checkpoint: Checkpoint,
    data: str,
    options: dict[str, Any],
    rows: list[ImageRow] | None,
    split: str,
    info: Callable[[str], object],
) -> Splits:
    """The images of a set or folder that the user names."""
    config = checkpoint.run.config if checkpoint.run else {}
    own = config.get("input") or {}
    if data in NAMES and data != config.get("data"):
        options = _without(options, own, OF_FOLDERS)
    elif rows is not None:
        record = checkpoint.run.environment.get("data") if checkpoint.run else None
        _, placed = _placed(data, options, record if isinstance(record, dict) else {})
        try:
            return _recorded(checkpoint, data, placed, rows, split, info)
        except OtherImages as error:
            grouped = ", without groups" if options.get("groups") else ""
            info(f"{error}; so {data} is read as it is, and split again{grouped}")
        options = _without(options, own, OF_IMAGES)
    splits = _open(checkpoint, data, options)
    source = getattr(splits, split)
    if not len(source):
        raise InputError(f"{data} has no {split} images")
    if rows is not None and isinstance(source, RecordSource):
        known = trained_on(rows, source.records)
        if known:
            sentence = (
                f"{len(known)} of the {len(source)} {split} images are images that "
                f"{checkpoint.name} was trained on (first {min(known)})"
            )
            info(f"warning: {sentence}")
            splits.description[TRAINED_ON] = sentence
    return splits


def _without(
    options: dict[str, Any], own: dict[str, Any], names: tuple[str, ...]
) -> dict[str, Any]:
    """The options, except some of the run's own."""
    dropped = [name for name in names if options.get(name) == own.get(name)]
    return {**options, **dict.fromkeys(dropped)}


def _placed(
    data: str, options: dict[str, Any], record: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Data and options with the absolute paths that a run recorded, if they still exist."""
    path = record.get("path")
    for name in PLACED:
        place = record.get(f"{name}_path")
        own = options.get(name) == record.get(f"{name}_given")
        if own and isinstance(place, str) and Path(place).exists():
            options = {**options, name: place}
    if record.get("given") != data or not isinstance(path, str) or not Path(path).is_dir():
        return data, options
    return (data, {**options, "root": Path(path)}) if data in NAMES else (path, options)


def _recorded(
    checkpoint: Checkpoint,
    data: str,
    options: dict[str, Any],
    rows: list[ImageRow],
    split: str,
    info: Callable[[str], object],
) -> Splits:
    own = {name: options.get(name) for name in RECORDED}
    return open_recorded(
        data,
        rows,
        split,
        root=Path(options["root"]),
        **own,
        image_size=checkpoint.image_size,
        resize=checkpoint.resize,
        skip_bad=options["skip_bad"],
        info=info,
    )


def _open(checkpoint: Checkpoint, data: str, options: dict[str, Any]) -> Splits:
    allowed = inspect.signature(open_data).parameters
    kept = {name: value for name, value in options.items() if name in allowed and value is not None}
    shown = {"image_size": checkpoint.image_size, "resize": checkpoint.resize}
    return open_data(data, **kept | shown, needs_training=False)


def check_classes(checkpoint: Checkpoint, splits: Splits) -> None:
    """Raise InputError if the classifier and the data have different classes.

    A file without class names is assumed to have the data's classes in their order.
    """
    if checkpoint.label_kind != splits.label_kind:
        several = checkpoint.label_kind == "multi"
        raise InputError(
            f"{checkpoint.path} predicts {'several labels' if several else 'one class'} an image, "
            f"and {splits.name} is read with {'one class' if several else 'several labels'}: "
            f"{'give' if several else 'leave out'} --labels"
        )
    if checkpoint.outputs != len(splits.classes):
        raise InputError(
            f"{checkpoint.path} has {checkpoint.outputs} classes, and {splits.name} has "
            f"{len(splits.classes)}: the classes must be the same"
        )
    for own, other in zip(checkpoint.classes or splits.classes, splits.classes, strict=True):
        if own != other:
            raise InputError(
                f"{checkpoint.path} has a class {own!r} where {splits.name} has {other!r}: "
                "the classes must be the same, in the same order; folders are sorted by name, so "
                "1_cat comes before 2_bird"
            )
