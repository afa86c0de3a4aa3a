"""The data of a run: the same in every process, and identified for later commands."""

from dataclasses import replace
from pathlib import Path

from sib import distributed
from sib.config.train import TrainConfig
from sib.data import Splits
from sib.data.copies import copies_in_rows
from sib.data.identity import fingerprint, record_images, to_csv
from sib.runs.folder import RunFolder
from sib.training.reporter import Reporter
from sib.training.splits import open_splits
from sib.utils.errors import InputError

MANY = 20_000
"""Number of images whose checksums take long enough to be announced."""


def open_identified(
    config: TrainConfig, run: RunFolder, reporter: Reporter
) -> tuple[Splits, str | None]:
    """Open the splits, which must be the same in all processes and as they were before a resume.

    Returns:
        The splits, with a description of their place and content; and the content of
        ``images.csv`` if the run writes it.

    Raises:
        InputError: the data cannot be read, or the images are not the same.
    """
    splits = distributed.raise_on_all_ranks(lambda: open_splits(config))
    found = distributed.all_gather_object(splits.description["splits_sha256"])
    if len(set(found)) > 1:
        other = next(rank for rank, each in enumerate(found) if each != found[0])
        raise InputError(
            f"--data {config.data}: process {other} finds other images there than process 0; every "
            "machine needs the same files"
        )
    return distributed.raise_on_all_ranks(lambda: _identified(config, run, splits, reporter))


def _identified(
    config: TrainConfig, run: RunFolder, splits: Splits, reporter: Reporter
) -> tuple[Splits, str | None]:
    """The splits with a fingerprint of their images, taken by the first process."""
    if config.dry_run or not distributed.is_main_process():
        return splits, None
    parts = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    if splits.folder is not None and sum(map(len, parts.values())) > MANY:
        reporter.info("reading the images once, to identify them later")
    rows = record_images(parts, splits.classes)
    facts = splits.description | {"given": config.data}
    if splits.folder is not None:
        facts |= {"path": str(splits.folder)}
    facts |= _given_files(config)
    if rows is not None:
        copies = copies_in_rows(rows)
        facts |= {"fingerprint": fingerprint(rows)} | ({"copies": copies} if copies else {})
    if config.resume:
        run.check_same_data(facts)
    return replace(splits, description=facts), None if rows is None else to_csv(rows)


def _given_files(config: TrainConfig) -> dict[str, str]:
    """Masks, annotations and labels that were given, and where they are on this machine."""
    files = {
        "masks": config.input.masks,
        "annotations": config.input.annotations,
        "labels": config.labels,
    }
    facts = {}
    for name, given in files.items():
        if given is not None:
            facts[f"{name}_given"] = str(given)
            facts[f"{name}_path"] = str(Path(given).expanduser().resolve())
    return facts
