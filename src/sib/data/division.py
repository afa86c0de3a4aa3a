"""Share the images of a data set out to its splits."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from sib.config.choices import TestSplit
from sib.data.groups import group_split, read_groups
from sib.data.layout import Parts
from sib.data.records import RecordSource
from sib.data.source import Divisible
from sib.data.splits import multi_label_split, stratified_split
from sib.utils.errors import InputError


class Division(NamedTuple):
    """How images are shared out to the splits."""

    validation_fraction: float | None
    """To hold out for validation, None for nothing."""
    test_fraction: float
    test_split: TestSplit
    seed: int
    groups: str | None = None
    """A CSV of images and their groups, which stay whole."""


def merge_test_into_train(parts: Parts, name: str) -> Parts:
    """The parts with the test's images among those to train on."""
    train, test = parts.train, parts.test
    if type(train) is not RecordSource:
        raise InputError(
            f"test_split must be own for {name}, whose test images cannot be merged into the "
            "training images"
        )
    if type(test) is RecordSource:
        records = [*train.records, *test.records]
        train = RecordSource(records, parts.classes, train.value_range)
    return dataclasses.replace(parts, train=train, test=None)


def groups_of(parts: Parts, division: Division) -> dict[str, str]:
    """The group of each image by its name; none where no groups are given."""
    if division.groups is None:
        return {}
    sources = (parts.train, parts.validation, parts.test)
    names = [name for source in sources if source is not None for name in source.names]
    return read_groups(Path(division.groups), names)


def divided(
    parts: Parts, division: Division, groups: dict[str, str]
) -> tuple[dict[str, Divisible], str]:
    """The source of each split, and in words how it came there; ``groups`` as of `groups_of`."""
    train, validation, test = parts.train, parts.validation, parts.test
    validation_fraction, test_fraction, _, seed, _ = division
    rules = []
    folders = {split: f", {name}" for split, name in parts.notes.get("folders", {}).items()}
    if test is None:
        # three, so that one image each is left for training and validation
        train, test = _hold_out(train, test_fraction, seed, 3, groups)
        rules.append(f"test: {test_fraction:g} of each class at random")
    else:
        rules.append(f"test: the folder's own{folders.get('test', '')}")
    if not len(train):
        validation = train if validation is None else validation
        rules.append("no training images")
    elif validation_fraction is None:
        validation = train.subset([])
        own = folders.get("validation")
        rules.append(f"validation: none{own} is left out" if own else "validation: none")
    elif validation is None:
        train, validation = _hold_out(train, validation_fraction, seed, 2, groups)
        rules.append(f"validation: {validation_fraction:g} of each training class at random")
    else:
        rules.append(f"validation: the folder's own{folders.get('validation', '')}")
    if groups:
        rules.append("no group in two splits")
    return {"train": train, "validation": validation, "test": test}, "; ".join(rules)


def _hold_out(
    source: Divisible, fraction: float, seed: int, smallest: int, groups: dict[str, str]
) -> tuple[Divisible, Divisible]:
    several = [label for label in source.labels if isinstance(label, tuple)]
    if groups:
        own = [groups[name] for name in source.names]
        kept, held = group_split(source.labels, own, fraction, seed, source.classes, smallest)
    elif several:
        kept, held = multi_label_split(several, fraction, seed)
    else:
        single = [label for label in source.labels if not isinstance(label, tuple)]
        kept, held = stratified_split(single, fraction, seed, source.classes, smallest)
    return source.subset(kept), source.subset(held)
