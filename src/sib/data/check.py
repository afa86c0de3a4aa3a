"""``sib data check``: read every image of a data set, and compare it with published counts."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sib.config.data import CheckConfig
from sib.data.annotation_notes import sentences
from sib.data.copies import copies_in_records
from sib.data.coverage import (
    SAMPLE,
    Coverage,
    describe_colours,
    describe_coverage,
    describe_greys,
)
from sib.data.datasets.catalogue import CATALOGUE
from sib.data.depth import describe_depth, spread_over, values_used
from sib.data.describe import describe
from sib.data.headers import MOST_CHECKED
from sib.data.inspection import Finding, inspect_all
from sib.data.layout import Parts
from sib.data.locate import locate_data, read_parts
from sib.data.records import RecordSource
from sib.data.sample import MaskFile, Record
from sib.data.several import label_sentences
from sib.data.source import Source
from sib.data.understood import folder_sentences, left_out_in_words, mask_sentences, named
from sib.utils.errors import InputError, ProblemsFound
from sib.utils.terminal import show_tables

SHOWN = 20
"""Most problems that are printed."""
BOXES = "boxes cut off"
"""A column that is shown if it counts any."""


def check(config: CheckConfig, console: Console) -> None:
    """Check one data set, and print a table and the problems.

    Raises:
        InputError: there is no such data set.
        ProblemsFound: something is wrong with it.
    """
    if config.workers is not None and config.workers < 0:
        raise InputError(f"--workers must be at least 0; got {config.workers}")
    folder = locate_data(config.name, config.root)
    try:
        parts = read_parts(
            config.name,
            config.root,
            config.masks,
            config.mask_ending,
            annotations=config.annotations,
            labels=config.labels,
        )
    except InputError as error:
        _list_problems(console, [str(error)])
        raise ProblemsFound(f"{folder}: 1 problem stops the rest of the check") from None
    for sentence in [*sentences(parts.notes), *label_sentences(parts.notes)]:
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)
    workers = os.cpu_count() or 1 if config.workers is None else config.workers
    splits = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    present = {name: source for name, source in splits.items() if source is not None}
    findings = dict(
        zip(present, inspect_all(list(present.values()), workers, console), strict=True)
    )
    problems = [*_compare(config.name, parts), *_doubles(present)]
    problems += [f.problem for split in findings.values() for f in split if f.problem]
    table = _table(folder, config.name, present, findings)
    show_tables(console, [table], _rows(config.name, findings))
    for remark in _remarks(parts, present, [f for split in findings.values() for f in split]):
        console.print(remark, highlight=False, soft_wrap=True, markup=False)
    if problems:
        _list_problems(console, problems)
        raise ProblemsFound(f"{folder}: {_count(problems)}")
    console.print(f"{folder}: no problem", highlight=False, soft_wrap=True, markup=False)


def _compare(name: str, parts: Parts) -> Iterator[str]:
    """Differences from the published counts of a set."""
    if name not in CATALOGUE:
        return
    published = CATALOGUE[name]
    train = len(parts.train) + (len(parts.validation) if parts.validation else 0)
    for what, found, wanted in (
        ("classes", len(parts.classes), published.classes),
        ("training images", train, published.train),
        ("test images", len(parts.test) if parts.test else 0, published.test),
    ):
        if found != wanted:
            yield f"{published.title} has {wanted} {what}; found {found}"


def _doubles(splits: dict[str, Any]) -> Iterator[str]:
    """Images that are in two splits, or twice in one of them."""
    counts = Counter(name for source in splits.values() for name in source.names)
    for name, count in counts.items():
        if count > 1:
            yield f"{name} is in the splits {count} times; an image belongs to one"


def _remarks(parts: Parts, splits: dict[str, Any], findings: list[Finding]) -> Iterator[str]:
    """Remarks that are not problems."""
    facts = describe(splits, **parts.notes)
    if any(facts["foregrounds"].values()):
        having, images = sum(facts["foregrounds"].values()), sum(facts["images"].values())
        lacking = facts.get("without_foreground", [])
        missing = f"; without: {named(lacking, images - having)}" if lacking else ""
        yield f"{having} of {images} images have a foreground{missing}"
    if "test" not in splits:
        validated = "" if "validation" in splits else ", and a tenth of the rest for validation"
        yield (
            f"no test split: sib train holds out a fifth of the images for the test{validated}, at "
            "random by a seed"
        )
    whole, around = (sum(f.whole for f in findings), sum(f.around for f in findings))
    yield from describe_coverage(Coverage(sum(f.annotated for f in findings), whole, around))
    some = spread_over(_masked(splits.values()), SAMPLE)
    yield from describe_greys(some) + describe_colours(some)
    turned = sum(finding.turned for finding in findings)
    if turned:
        yield (
            f"{turned} images have an EXIF orientation and a mask without one: the mask is taken "
            "to be upright"
        )
    yield from mask_sentences(facts)
    yield from folder_sentences(facts, parts.classes)
    left_out = left_out_in_words(facts)
    if left_out:
        yield f"left out: {left_out}"
    sources = [source for source in splits.values() if isinstance(source, RecordSource)]
    if sum(map(len, sources)) <= MOST_CHECKED:
        depth = values_used(record for source in sources for record in source.records)
        yield from describe_depth(depth)
        yield from _copies(splits)


def _copies(splits: dict[str, Any]) -> list[str]:
    on_disk = {  # without those in a folder that may not be entered, which are problems already
        name: [record for record in source.records if os.path.isfile(record.image)]
        for name, source in splits.items()
        if isinstance(source, RecordSource)
    }
    try:
        return copies_in_records(on_disk)
    except InputError:  # a file that may not be read, which is a problem already
        return []


def _masked(sources: Iterable[Source]) -> list[Record]:
    """The records that have a mask file."""
    on_disk = [source for source in sources if isinstance(source, RecordSource)]
    return [r for s in on_disk for r in s.records if isinstance(r.foreground, MaskFile)]


def _table(
    folder: Path, name: str, splits: dict[str, Any], findings: dict[str, list[Finding]]
) -> Table:
    published = CATALOGUE.get(name)
    title = f"{published.title if published else folder.resolve().name}, "
    table = Table(title=title + f"{len(splits['train'].classes)} classes")
    rows = _rows(name, findings)
    shown = [each for each in rows[0] if each != BOXES or any(row[BOXES] for row in rows)]
    for heading in shown:
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for row in rows:
        table.add_row(*("" if row[each] is None else str(row[each]) for each in shown))
    return table


def _rows(name: str, findings: dict[str, list[Finding]]) -> list[dict[str, Any]]:
    """Counts of each split, with the published number of images where there is one."""
    published = CATALOGUE.get(name)
    wanted = {"train": published.train, "test": published.test} if published else {}
    return [
        {
            "split": split,
            "images": len(found),
            **({"published": wanted.get(split)} if published else {}),
            "annotated": sum(finding.annotated for finding in found),
            BOXES: sum(finding.overhanging for finding in found),
            "problems": sum(finding.problem is not None for finding in found),
        }
        for split, found in findings.items()
    ]


def _list_problems(console: Console, problems: list[str]) -> None:
    for problem in problems[:SHOWN]:
        console.print(f"- {problem}", highlight=False, soft_wrap=True, markup=False)
    if len(problems) > SHOWN:
        console.print(f"- and {len(problems) - SHOWN} more", highlight=False)


def _count(problems: list[str]) -> str:
    return f"{len(problems)} problem{'s' * (len(problems) > 1)}"
