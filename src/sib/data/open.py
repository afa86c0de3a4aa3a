"""Open a data set by its name or folder."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from sib.config.choices import TestSplit
from sib.data.datasets import published
from sib.data.datasets.digits import Digits
from sib.data.describe import describe
from sib.data.groups import check_groups, group_split, read_groups
from sib.data.layout import Parts, as_parts
from sib.data.locate import DIGITS, existing_folder, read_layout, readable
from sib.data.readers.masks import OVERHANG
from sib.data.records import RecordSource, check_headers
from sib.data.source import Divisible, Source
from sib.data.splits import check_fraction, stratified_split
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, height_width

DIGITS_SIDE = 48
NO_DIGITS = RecordSource([], [str(digit) for digit in range(10)])
MOST_CHECKED = 200_000
"""Images whose headers are read on opening; of more, `sib data check` reads them."""


class Division(NamedTuple):
    """How images are shared out to the splits."""

    validation_fraction: float | None
    """To hold out for validation, None for nothing."""
    test_fraction: float
    test_split: TestSplit
    seed: int
    groups: str | None = None
    """A CSV of images and their groups, which stay whole."""


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
    root: Path | str = "data",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    masks: str | None = None,
    background_strength: float = 0.5,
    train_size: int = 4000,
    test_size: int = 1000,
    image_size: ImageSize | None = None,
    hold_out_validation: bool = True,
    test_split: TestSplit = "own",
    annotations: str | None = None,
    groups: str | None = None,
) -> Splits:
    """Open a data set and check its files' headers.

    ``"digits"`` is the built-in set, see `Digits`. ``"cifar100"``, ``"cub200"``,
    ``"stanford_dogs"``, ``"imagenet"`` and ``"oxford_pet"`` are the published sets in their
    official layout below ``root``, see the reader of that name; their test is the official one,
    ImageNet's ``val``. Anything else is a folder, read in the first of these layouts that it has:

    1. CUB-200-2011: ``images.txt``, ``train_test_split.txt``, ``image_class_labels.txt``; see
       `cub.read`.
    2. ``images/<class>/*`` with optional ``segmentations``, ``train.txt``, ``test.txt``; see
       `leeds.read`.
    3. ``train/<class>/*``, ``test/<class>/*`` and optional ``val/<class>/*``; see
       `folder.read_splits`.
    4. ``<class>/*``; see `folder.read_pool`.

    Where a folder has no test split, ``test_fraction`` of each class becomes one; with
    ``test_split="random"`` its own is put back to the training images first, so that several seeds
    make repeated stratified splits. Validation is ``val``, or else ``validation_fraction`` of each
    class of the training images, never of the test. Both choices are made by ``split_seed``.

    Args:
        data: ``"digits"``, a published set or a folder; ``"./digits"`` for a folder of that name.
        root: published sets only, the folder that holds the official folder, or is it.
        validation_fraction: in (0, 1).
        test_fraction: in (0, 1).
        split_seed: of the splits, and of the built-in images; at least 0.
        masks: folders only, foreground masks in a tree parallel to the images'.
        background_strength: built-in set only, in [0, 1].
        train_size: built-in set only, images to train and validate on, at least 20.
        test_size: built-in set only, at least 10.
        image_size: built-in set only, side to draw at, the longer one of height and width, 48
            where not given; folders give each image at its own size.
        hold_out_validation: False leaves the training split whole and validation empty.
        test_split: ``"own"`` or ``"random"``, the latter for images in files, though not for
            ImageNet.
        annotations: folders only, boxes and masks in a file or folder; see `annotate`.
        groups: folders only, a CSV of images and groups, of which none is in two splits; see
            `group_split`.

    Returns:
        `Splits`.

    Raises:
        InputError: an argument that is not allowed, or a problem with a file.
    """
    check_fraction("validation_fraction", validation_fraction)
    check_fraction("test_fraction", test_fraction)
    if split_seed < 0:
        raise InputError(f"split_seed must be at least 0; got {split_seed}")
    if test_split not in get_args(TestSplit):
        raise InputError(f"test_split must be own or random; got {test_split!r}")
    if data == DIGITS or data in published.READERS:
        for name, given in (("annotations", annotations), ("groups", groups)):
            if given is not None:
                raise InputError(f"{name} are for a folder of images; got {given!r} for {data}")
    if data == DIGITS:
        if masks is not None:
            raise InputError(f"masks cannot be given for digits, which has its own; got {masks!r}")
        if test_split != "own":
            raise InputError("test_split must be own for digits, all drawn anew by split_seed")
        side = DIGITS_SIDE if image_size is None else max(height_width(image_size))
        held = _digits_held_out(train_size, test_size, validation_fraction)
        held = held if hold_out_validation else 0
        options = (side, background_strength, split_seed)
        return _digits(train_size - held, held, test_size, options)
    held_out = validation_fraction if hold_out_validation else None
    division = Division(held_out, test_fraction, test_split, split_seed, groups)
    if data in published.READERS:
        if masks is not None:
            raise InputError(f"masks cannot be given for {data}, a published set; got {masks!r}")
        return _open_published(data, Path(root).expanduser(), division)
    return _open_folder(data, masks, annotations, division)


def _digits_held_out(train_size: int, test_size: int, fraction: float) -> int:
    """Validation images among ``train_size``; every class in each part."""
    for name, size, smallest in (("train_size", train_size, 20), ("test_size", test_size, 10)):
        if size < smallest:
            raise InputError(f"{name} must be at least {smallest}; got {size}")
    return min(max(round(train_size * fraction), 10), train_size - 10)


def _digits(train: int, validation: int, test: int, options: tuple[int, float, int]) -> Splits:
    splits = {
        "train": Digits("train", train, *options),
        "validation": Digits("validation", validation, *options) if validation else NO_DIGITS,
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
    data: str, masks: str | None, annotations: str | None, division: Division
) -> Splits:
    if masks is not None and annotations is not None:
        raise InputError("masks and annotations cannot be given together; give one")
    root, tree = (
        existing_folder("data", data),
        existing_folder("masks", masks) if masks is not None else None,
    )
    with readable(root):
        found = Path(annotations) if annotations is not None else None
        parts = as_parts(read_layout(root, tree, found))
        return _divided(parts, root.resolve().name, division, OVERHANG)


def _open_published(name: str, root: Path, division: Division) -> Splits:
    with readable(root):
        parts = published.read(name, published.locate(name, root))
        # some official boxes leave their image; they are cut off at its edge
        return _divided(parts, name, division, overhang=float("inf"))


def _divided(parts: Parts, name: str, division: Division, overhang: float) -> Splits:
    if division.test_split == "random":
        parts = _pooled(parts, name)
    groups = _groups_of(parts, division)
    sources, rule = _split(parts, division, groups)
    notes = parts.notes | ({"groups": check_groups(sources, groups)} if groups else {})
    on_disk = [source for source in sources.values() if isinstance(source, RecordSource)]
    if sum(map(len, on_disk)) <= MOST_CHECKED:
        check_headers((record for source in on_disk for record in source.records), overhang)
    facts = {"layout": parts.name, "split_rule": rule, "split_seed": division.seed, **notes}
    description = describe(sources, **facts)
    return Splits(**sources, classes=parts.classes, name=name, description=description)


def _pooled(parts: Parts, name: str) -> Parts:
    """The parts with the test's images among those to train on."""
    train, test = parts.train, parts.test
    if type(train) is not RecordSource:
        raise InputError(f"test_split must be own for {name}, whose test cannot be put back")
    if type(test) is RecordSource:
        train = RecordSource([*train.records, *test.records], parts.classes)
    return dataclasses.replace(parts, train=train, test=None)


def _groups_of(parts: Parts, division: Division) -> dict[str, str]:
    """The group of each image by its name; none where no groups are given."""
    if division.groups is None:
        return {}
    sources = (parts.train, parts.validation, parts.test)
    names = [name for source in sources if source is not None for name in source.names]
    return read_groups(Path(division.groups), names)


def _split(
    parts: Parts, division: Division, groups: dict[str, str]
) -> tuple[dict[str, Divisible], str]:
    """The source of each split, and in words how it came there."""
    train, validation, test = parts.train, parts.validation, parts.test
    validation_fraction, test_fraction, seed = (
        division.validation_fraction,
        division.test_fraction,
        division.seed,
    )
    rules = []
    if test is None:
        # three, so that one image each is left for training and validation
        train, test = _hold_out(train, test_fraction, seed, 3, groups)
        rules.append(f"test: {test_fraction:g} of each class at random")
    else:
        rules.append("test: the folder's own")
    if validation_fraction is None:
        validation = train.subset([])
        rules.append("validation: none")
    elif validation is None:
        train, validation = _hold_out(train, validation_fraction, seed, 2, groups)
        rules.append(f"validation: {validation_fraction:g} of each training class at random")
    else:
        rules.append("validation: the folder's own")
    if groups:
        rules.append("no group in two splits")
    return {"train": train, "validation": validation, "test": test}, "; ".join(rules)


def _hold_out(
    source: Divisible, fraction: float, seed: int, smallest: int, groups: dict[str, str]
) -> tuple[Divisible, Divisible]:
    if groups:
        own = [groups[name] for name in source.names]
        kept, held = group_split(source.labels, own, fraction, seed, source.classes, smallest)
    else:
        kept, held = stratified_split(source.labels, fraction, seed, source.classes, smallest)
    return source.subset(kept), source.subset(held)
