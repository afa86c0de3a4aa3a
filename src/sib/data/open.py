"""Open a data set by its name or folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sib.data import cub, folder, leeds
from sib.data.describe import describe
from sib.data.digits import Digits
from sib.data.layout import Layout
from sib.data.records import RecordSource, check_headers
from sib.data.sample import MaskFile, Record
from sib.data.source import Source
from sib.data.splits import check_fraction, stratified_split
from sib.errors import InputError

DIGITS = "digits"
DIGITS_SIDE = 48
NOTHING = RecordSource([], [str(digit) for digit in range(10)])
"""The validation split where none is held out."""

LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Path | None], Layout]], ...] = (
    (cub.matches, cub.read),
    (leeds.matches, leeds.read),
    (folder.has_splits, folder.read_splits),
    (lambda root: True, folder.read_pool),
)
"""Which reader takes a folder: the first that matches."""


@dataclass(frozen=True)
class Splits:
    """A data set in three parts that share no image."""

    train: Source
    validation: Source
    test: Source
    classes: list[str]
    """(K,) names by label."""
    name: str
    description: dict[str, Any]
    """Facts for the record of a run, as JSON can hold them; see `describe`."""


def open_data(
    data: str,
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    masks: str | None = None,
    background_strength: float = 0.5,
    train_size: int = 4000,
    test_size: int = 1000,
    image_size: int | None = None,
    hold_out_validation: bool = True,
) -> Splits:
    """Open a data set and check its files' headers.

    ``"digits"`` is the built-in set, see `Digits`. Anything else is a folder, read in the first
    of these layouts that it has:

    1. CUB-200-2011: ``images.txt``, ``train_test_split.txt``, ``image_class_labels.txt``; see
       `cub.read`.
    2. ``images/<class>/*`` with optional ``segmentations``, ``train.txt``, ``test.txt``; see
       `leeds.read`.
    3. ``train/<class>/*``, ``test/<class>/*`` and optional ``val/<class>/*``; see
       `folder.read_splits`.
    4. ``<class>/*``; see `folder.read_pool`.

    Where a folder has no test split, ``test_fraction`` of each class becomes one. Validation is
    ``val``, or else ``validation_fraction`` of each class of the training images, never of the
    test. Both choices are made by ``split_seed``.

    Args:
        data: ``"digits"`` or a folder; ``"./digits"`` for a folder of that name.
        validation_fraction: in (0, 1).
        test_fraction: in (0, 1).
        split_seed: of the splits, and of the built-in images; at least 0.
        masks: folder of foreground masks, parallel to the images' folder.
        background_strength: built-in set only, in [0, 1].
        train_size: built-in set only, images to train and validate on, at least 20.
        test_size: built-in set only, at least 10.
        image_size: built-in set only, side to draw at, 48 where not given; folders give each
            image at its own size.
        hold_out_validation: False leaves the training split whole and validation empty.

    Returns:
        `Splits`.

    Raises:
        InputError: an argument that is not allowed, or a problem with a file.
    """
    check_fraction("validation_fraction", validation_fraction)
    check_fraction("test_fraction", test_fraction)
    if split_seed < 0:
        raise InputError(f"split_seed must be at least 0; got {split_seed}")
    if data == DIGITS:
        if masks is not None:
            raise InputError(f"masks cannot be given for digits, which has its own; got {masks!r}")
        side = DIGITS_SIDE if image_size is None else image_size
        held = _digits_held_out(train_size, test_size, validation_fraction)
        held = held if hold_out_validation else 0
        options = (side, background_strength, split_seed)
        return _digits(train_size - held, held, test_size, options)
    held_out = validation_fraction if hold_out_validation else None
    return _open_folder(data, masks, held_out, test_fraction, split_seed)


def _digits_held_out(train_size: int, test_size: int, fraction: float) -> int:
    """Validation images among ``train_size``; every class in each part."""
    for name, size, smallest in (("train_size", train_size, 20), ("test_size", test_size, 10)):
        if size < smallest:
            raise InputError(f"{name} must be at least {smallest}; got {size}")
    return min(max(round(train_size * fraction), 10), train_size - 10)


def _digits(train: int, validation: int, test: int, options: tuple[int, float, int]) -> Splits:
    splits = {
        "train": Digits("train", train, *options),
        "validation": Digits("validation", validation, *options) if validation else NOTHING,
        "test": Digits("test", test, *options),
    }
    side, strength, seed = options
    description = describe(
        splits,
        layout=DIGITS,
        split_rule="disjoint scans of digits; the test's photographs are cut at other places",
        split_seed=seed,
        image_size=side,
        background_strength=strength,
    )
    return Splits(**splits, classes=splits["train"].classes, name=DIGITS, description=description)


def _open_folder(
    data: str,
    masks: str | None,
    validation_fraction: float | None,
    test_fraction: float,
    seed: int,
) -> Splits:
    root, tree = _folder("data", data), _folder("masks", masks) if masks is not None else None
    try:
        layout = _read_layout(root, tree)
        splits, rule = _split(layout, validation_fraction, test_fraction, seed)
        check_headers([record for records in splits.values() for record in records])
    except OSError as error:
        raise InputError(f"{error.filename or root} cannot be read: {error.strerror}") from None
    sources = {name: RecordSource(records, layout.classes) for name, records in splits.items()}
    facts = {"layout": layout.name, "split_rule": rule, "split_seed": seed, **layout.notes}
    description = describe(sources, **facts)
    name = root.resolve().name
    return Splits(**sources, classes=layout.classes, name=name, description=description)


def _folder(argument: str, given: str) -> Path:
    if not str(given):
        raise InputError(f"{argument} is empty; give a folder")
    path = Path(given).expanduser()
    if not path.exists():
        hint = ", and is not the built-in digits" if argument == "data" else ""
        raise InputError(f"{argument}: {path} does not exist{hint}")
    if not path.is_dir():
        raise InputError(f"{argument}: {path} is a file; give a folder")
    return path


def _read_layout(root: Path, masks: Path | None) -> Layout:
    layout = next(read for matches, read in LAYOUTS if matches(root))(root, masks)
    parts = (layout.train, layout.validation, layout.test)
    records = [record for part in parts for record in part or []]
    if masks is not None and not any(_has_mask_in(record, masks) for record in records):
        raise InputError(
            f"masks: {masks} holds no mask for {records[0].name} or any other image; a mask lies "
            "at its image's path below its root, with the ending .png"
        )
    return layout


def _has_mask_in(record: Record, folder: Path) -> bool:
    source = record.foreground
    return isinstance(source, MaskFile) and source.path.is_relative_to(folder)


def _split(
    layout: Layout, validation_fraction: float | None, test_fraction: float, seed: int
) -> tuple[dict[str, list[Record]], str]:
    """The records of each split, and in words how they came there."""
    train, validation, test = layout.train, layout.validation, layout.test
    rules = []
    if test is None:
        # three, so that one image each is left for training and validation
        train, test = _hold_out(train, test_fraction, seed, layout.classes, smallest=3)
        rules.append(f"test: {test_fraction:g} of each class at random")
    else:
        rules.append("test: the folder's own")
    if validation_fraction is None:
        validation = []
        rules.append("validation: none")
    elif validation is None:
        train, validation = _hold_out(train, validation_fraction, seed, layout.classes, smallest=2)
        rules.append(f"validation: {validation_fraction:g} of each training class at random")
    else:
        rules.append("validation: the folder's own")
    return {"train": train, "validation": validation, "test": test}, "; ".join(rules)


def _hold_out(
    records: list[Record], fraction: float, seed: int, classes: list[str], smallest: int
) -> tuple[list[Record], list[Record]]:
    labels = [record.label for record in records]
    kept, held = stratified_split(labels, fraction, seed, classes, smallest)
    return [records[index] for index in kept], [records[index] for index in held]
