"""Open a data set by its name or folder."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from sib.config.choices import Resize, TestSplit
from sib.data.alike import alike_groups
from sib.data.datasets.catalogue import CATALOGUE
from sib.data.datasets.digits import Digits
from sib.data.describe import describe
from sib.data.division import Division, divided, groups_of, merge_test_into_train
from sib.data.files import printable
from sib.data.groups import check_groups
from sib.data.headers import Reading, checked
from sib.data.layout import Parts
from sib.data.locate import DIGITS, check_own_options, locate_data, read_parts, readable
from sib.data.readers.masks import OVERHANG
from sib.data.records import RecordSource
from sib.data.source import Source
from sib.data.splits import check_fraction
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize, height_width

DIGITS_SIDE = 48
NO_DIGITS = RecordSource([], [str(digit) for digit in range(10)])
MOST_NAMED = 20
"""Most left-out images that the record names."""


@dataclass(frozen=True)
class Splits:
    """A data set in three parts that share no image.

    Example:
        >>> import sib
        >>> splits = sib.data.open_data("digits", train_size=50, test_size=20)
        >>> len(splits.train), len(splits.validation), len(splits.test)
        (40, 10, 20)
    """

    train: Source
    validation: Source
    test: Source
    classes: list[str]
    """(K,) names by label."""
    name: str
    description: dict[str, Any]
    """Facts for the record of a run, as JSON can hold them; see `describe`."""

    @property
    def label_kind(self) -> str:
        """``"multi"`` for several labels an image, else ``"single"``."""
        first = [*self.train.labels[:1], *self.test.labels[:1]]
        return "multi" if any(isinstance(label, tuple) for label in first) else "single"

    folder: Path | None = None
    """The folder of the images; None for images that are drawn."""


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
    mask_ending: str | None = None,
    value_range: str | None = None,
    annotations: str | None = None,
    groups: str | None = None,
    resize: Resize = "crop",
    skip_bad: bool = False,
    needs_training: bool = True,
    labels: str | Path | None = None,
) -> Splits:
    """Open a data set and check its files' headers.

    ``"digits"`` is the built-in set, see `Digits`. The names of `sib.data.datasets.catalogue`,
    such as ``"cub200"``, are the published sets in their official layout below ``root``, see the
    reader of that name; their test is the official one, ImageNet's ``val``. Anything else is a
    folder, read in the first of these layouts that it has:

    1. CUB-200-2011: ``images.txt``, ``train_test_split.txt``, ``image_class_labels.txt``; see
       `cub.read`.
    2. ``train/<class>/*`` and optional ``test/<class>/*`` and ``val/<class>/*``, under these or
       other usual names, in the folder or in ``images``; see `folder.read_splits`.
    3. ``images/<class>/*`` with optional ``segmentations``, ``train.txt``, ``test.txt``; see
       `leeds.read`.
    4. ``<class>/*``; see `folder.read_pool`.

    With ``labels`` the images have several labels each; see `read_several`.

    If a folder has no test split, ``test_fraction`` of each class becomes one. With
    ``test_split="random"`` its own test split is merged into the training images first, so that
    several seeds give repeated stratified splits. Validation is ``val``, or else
    ``validation_fraction`` of each class of the training images, never of the test. ``split_seed``
    makes both choices.

    Args:
        data: ``"digits"``, a published set or a folder; ``"./digits"`` for a folder of that name.
        root: published sets only, the folder that holds the official folder, or is it.
        validation_fraction: in (0, 1).
        test_fraction: in (0, 1).
        split_seed: seed of the splits, and of the built-in images; at least 0.
        masks: folders only, foreground masks in a tree parallel to the images'.
        background_strength: built-in set only, in [0, 1].
        train_size: built-in set only, images to train and validate on, at least 20.
        test_size: built-in set only, at least 10.
        image_size: side of the network's input, or its height and width; the built-in set is
            drawn at the longer one, at 48 where it is not given. Folders give each image at its
            own size, and refuse one that cannot be resized to it.
        hold_out_validation: False leaves the training split whole and validation empty.
        test_split: ``"own"`` or ``"random"``, the latter for images in files, though not for
            ImageNet.
        mask_ending: folders only, what follows an image's name in its mask's, as ``_label`` or
            ``.png``; ``"none"`` where no file beside an image is a mask; the usual words where not
            given. See `beside.owner`.
        value_range: folders only, the values of 16-bit images that become black and white, as
            ``"0-4095"``.
        annotations: folders only, boxes and masks in a file or folder; see `annotate`.
        groups: folders only, a CSV of images and groups, of which none is in two splits; see
            `group_split`.
        resize: how images are to be brought to ``image_size``; see `JointTransform`.
        skip_bad: leave images out whose header or mask cannot be read, and count them in the
            description; without it they are refused.
        needs_training: False takes a folder that has a test split alone, for measuring.
        labels: folders only, a CSV of several labels an image.

    Returns:
        `Splits`.

    Raises:
        InputError: an argument is not allowed, or there is a problem with a file.

    Example:
        >>> import sib
        >>> splits = sib.data.open_data("digits", train_size=40, test_size=10)
        >>> len(splits.train), len(splits.validation), len(splits.test)
        (30, 10, 10)
    """
    check_fraction("validation_fraction", validation_fraction)
    check_fraction("test_fraction", test_fraction)
    if split_seed < 0:
        raise InputError(f"split_seed must be at least 0; got {split_seed}")
    if test_split not in get_args(TestSplit):
        raise InputError(f"test_split must be own or random; got {test_split!r}")
    check_own_options(data, masks, mask_ending, value_range, annotations, groups, labels)
    if data == DIGITS:
        if test_split != "own":
            raise InputError("test_split must be own for digits, which split_seed draws as a whole")
        side = DIGITS_SIDE if image_size is None else max(height_width(image_size))
        held = _digits_held_out(train_size, test_size, validation_fraction)
        held = held if hold_out_validation else 0
        options = (side, background_strength, split_seed)
        return _digits(train_size - held, held, test_size, options)
    held_out = validation_fraction if hold_out_validation else None
    division = Division(held_out, test_fraction, test_split, split_seed, groups)
    root = Path(root)
    folder = locate_data(data, root)
    parts = read_parts(data, root, masks, mask_ending, value_range, annotations, labels)
    if needs_training and not len(parts.train):
        names = " and ".join(parts.notes["folders"].values())
        raise InputError(
            f"{folder} has no folder train; it holds {names}, and training images are needed"
        )
    name = data if data in CATALOGUE else printable(folder.resolve().name)
    # some official boxes leave their image; they are cut off at its edge
    overhang = float("inf") if data in CATALOGUE else OVERHANG
    with readable(folder):
        splits = _divided(parts, name, division, Reading(overhang, image_size, resize, skip_bad))
    return dataclasses.replace(splits, folder=folder.resolve())


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
    parts = (splits["train"], splits["validation"], splits["test"])
    return Splits(*parts, splits["train"].classes, DIGITS, description)


def _divided(parts: Parts, name: str, division: Division, reading: Reading) -> Splits:
    if division.test_split == "random":
        parts = merge_test_into_train(parts, name)
    groups = groups_of(parts, division)
    sources, rule = divided(parts, division, groups)
    facts = {"layout": parts.name, "split_rule": rule, "split_seed": division.seed, **parts.notes}
    if groups:
        facts["groups"] = check_groups(sources, groups)
        alike = alike_groups(groups.values())
        facts |= {"groups_alike": alike[:3]} if alike else {}
    if isinstance(parts.train, RecordSource) and parts.train.value_range:
        low, high = parts.train.value_range
        facts["value_range"] = f"{low}-{high}"
    kept, left_out = checked(sources, reading)
    if left_out:
        facts |= {"unreadable": len(left_out), "unreadable_first": left_out[:MOST_NAMED]}
    description = describe(kept, **facts)
    return Splits(kept["train"], kept["validation"], kept["test"], parts.classes, name, description)
