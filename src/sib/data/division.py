"""Share the images of a data set out to its splits."""

import dataclasses
from typing import Literal, NamedTuple

from sib.data.layout import Parts
from sib.data.records import RecordSource
from sib.data.source import Divisible
from sib.data.splits import stratified_split
from sib.utils.errors import InputError

TestSplit = Literal["own", "random"]
"""Where the test comes from: the data set's own, where it has one, or drawn by the split seed."""


class Division(NamedTuple):
    """How images are shared out to the splits."""

    validation_fraction: float | None
    """To hold out for validation, None for nothing."""
    test_fraction: float
    test_split: TestSplit
    seed: int


def pooled(parts: Parts, name: str) -> Parts:
    """The parts with the test's images among those to train on."""
    train, test = parts.train, parts.test
    if type(train) is not RecordSource:
        raise InputError(f"test_split must be own for {name}, whose test cannot be put back")
    if type(test) is RecordSource:
        records = [*train.records, *test.records]
        train = RecordSource(records, parts.classes, train.value_range)
    return dataclasses.replace(parts, train=train, test=None)


def divided(parts: Parts, division: Division) -> tuple[dict[str, Divisible], str]:
    """The source of each split, and in words how it came there."""
    train, validation, test = parts.train, parts.validation, parts.test
    validation_fraction, test_fraction, _, seed = division
    rules = []
    folders = {split: f", {name}" for split, name in parts.notes.get("folders", {}).items()}
    if test is None:
        # three, so that one image each is left for training and validation
        train, test = _hold_out(train, test_fraction, seed, smallest=3)
        rules.append(f"test: {test_fraction:g} of each class at random")
    else:
        rules.append(f"test: the folder's own{folders.get('test', '')}")
    if validation_fraction is None:
        validation = train.subset([])
        own = folders.get("validation")
        rules.append(f"validation: none{own} is left out" if own else "validation: none")
    elif validation is None:
        train, validation = _hold_out(train, validation_fraction, seed, smallest=2)
        rules.append(f"validation: {validation_fraction:g} of each training class at random")
    else:
        rules.append(f"validation: the folder's own{folders.get('validation', '')}")
    return {"train": train, "validation": validation, "test": test}, "; ".join(rules)


def _hold_out(
    source: Divisible, fraction: float, seed: int, smallest: int
) -> tuple[Divisible, Divisible]:
    kept, held = stratified_split(source.labels, fraction, seed, source.classes, smallest)
    return source.subset(kept), source.subset(held)
