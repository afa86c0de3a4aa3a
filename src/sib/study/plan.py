"""The runs of a study: which ones there are, and what is done."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sib.config.facts import harmless
from sib.config.stored import differences
from sib.config.train import TrainConfig
from sib.data import Splits
from sib.models import build
from sib.runs.archive import archive_of, overlaid
from sib.runs.reader import is_run, read_run
from sib.study.audits import is_audited
from sib.study.description import Study
from sib.study.evaluation import Evaluation
from sib.study.settings import Point, Setting
from sib.training.guidance import check_annotated
from sib.training.setup import make_task
from sib.training.splits import open_splits
from sib.training.start import resolve_as_recorded
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.image_size import ImageSize
from sib.utils.locks import NAME as LOCK
from sib.utils.locks import FolderLock

VALIDATION = "validation"
"""Folder within a run for its evaluation on the validation split."""


@dataclass(frozen=True)
class Run:
    """One training run of a study."""

    name: str
    """Name of its folder."""
    setting: str
    point: Point
    seed: int
    split_seed: int
    folder: Path
    log: Path
    config: TrainConfig
    evaluation: Evaluation
    audit: bool = False
    """Whether it is audited as well."""

    @property
    def arguments(self) -> list[str]:
        """The options for ``sib train``."""
        own = ["--out", str(self.folder), "--seed", str(self.seed)]
        return [*self.point.arguments, *own, "--input.split-seed", str(self.split_seed)]

    @property
    def weights(self) -> Path:
        """The weights of the epoch that is measured."""
        return self.folder / "best.safetensors"

    def is_started(self) -> bool:
        """Whether the folder holds a run."""
        return is_run(self.folder)

    def is_trained(self) -> bool:
        """Whether the training has ended; its weights may have been removed since."""
        return (self.folder / "result.json").exists()

    def is_evaluated(self, split: str) -> bool:
        """Whether the evaluation exists and, if the weights are kept, is of these weights."""
        return self.is_trained() and self.evaluation.is_done(
            self.evaluation_folder(split), self.weights, split
        )

    def is_audited(self) -> bool:
        """Whether the audit exists, of these weights, or none is needed."""
        return not self.audit or is_audited(self.folder, self.weights)

    def evaluation_folder(self, split: str) -> Path:
        """Folder of the evaluation on a split."""
        return self.folder if split == "test" else self.folder / VALIDATION


def plan_runs(study: Study) -> list[Run]:
    """Every run: all settings under one seed before the next seed, so that a stop leaves pairs."""
    return [
        _run(study, setting, point, seed, split_seed)
        for split_seed in study.split_seeds
        for seed in study.seeds
        for setting in study.settings
        for point in setting.points
    ]


def _run(study: Study, setting: Setting, point: Point, seed: int, split_seed: int) -> Run:
    split = f"-split{split_seed}" if split_seed else ""  # so that adding splits keeps what is done
    name = f"{point.name}{split}-{seed}"
    folder = study.out / "runs" / name
    options = dataclasses.replace(point.config.input, split_seed=split_seed)
    config = dataclasses.replace(point.config, seed=seed, out=folder, input=options)
    log = study.out / "logs" / f"{name}.log"
    wanted = study.evaluation, study.audit
    return Run(name, setting.name, point, seed, split_seed, folder, log, config, *wanted)


def check_runs(study: Study, runs: list[Run]) -> None:
    """Check everything that can go wrong before the first run starts.

    Raises:
        InputError: see `check_records`; or the data cannot be opened or lacks what is needed, or a
            model cannot be made.
    """
    check_records(study, runs)
    for split_seed, splits in _opened(study, runs):
        _check_annotated(study, splits)
        for run in (run for run in runs if run.split_seed == split_seed):
            with _naming_point(study, run.point):
                check_annotated(run.config, splits)
    _check_models(study, splits)


def check_records(study: Study, runs: list[Run]) -> None:
    """Check the existing runs, which needs no data set.

    Raises:
        InputError: a name is duplicated, or a folder holds a run of another configuration.
    """
    for name, count in Counter(run.name for run in runs).items():
        if count > 1:
            raise InputError(f"{study.file}: two runs would share the folder runs/{name}")
    for run in runs:
        _check_same(run)


@contextmanager
def with_archive(study: Study, runs: list[Run]) -> Iterator[list[Run]]:
    """The runs; those that only the study's archive has are in a folder while they are read."""
    with overlaid(study.out) as folder:
        yield [
            run if run.is_started() else dataclasses.replace(run, folder=folder / "runs" / run.name)
            for run in runs
        ]


def _check_same(run: Run) -> None:
    if not run.is_started():
        return
    stored = read_run(run.folder).config
    wanted = resolve_as_recorded(run.config, stored)  # a run records what it decided
    changed = differences(stored, wanted, harmless(TrainConfig))
    if changed:
        raise InputError(
            f"{run.folder} was started with different options: {'; '.join(changed)}; change the "
            f"study back, {_removal(run)}, or choose another out"
        )


def _removal(run: Run) -> str:
    archive = archive_of(run.config.folder.parent.parent)
    if archive.is_file():
        return f"unpack {archive} and then remove that folder and the archive"
    return "remove that folder"


def check_unused(runs: list[Run]) -> None:
    """Raise InputError if a process works on a run, such as one that outlived its study."""
    for run in runs:
        if not run.is_trained() and (run.folder / LOCK).exists():
            lock = FolderLock(run.folder, "end it")
            lock.acquire()
            lock.release()


def _opened(study: Study, runs: list[Run]) -> Iterator[tuple[int, Splits]]:
    """The data set, split by each of the seeds."""
    for split_seed in study.split_seeds:
        config = next(run.config for run in runs if run.split_seed == split_seed)
        try:
            yield split_seed, open_splits(config)
        except InputError as error:
            raise InputError(f"{study.file}: {error}") from None


def _check_annotated(study: Study, splits: Splits) -> None:
    started = all(p.config.weights is not None for s in study.settings for p in s.points)
    if study.audit and not splits.test.annotated and not started:
        raise InputError(
            f"{study.file}: audit needs foregrounds, and the test images of {splits.name} have "
            "none; runs that start from trained weights can find them"
        )
    if study.needs_energy and not splits.validation.annotated:
        raise InputError(
            f"{study.file}: choose_by {study.choose_by} needs foregrounds, and the validation "
            f"images of {splits.name} have none; choose_by accuracy needs none"
        )


def _check_models(study: Study, splits: Splits) -> None:
    """Make each point's task once, which checks its options against model and image size."""
    made: dict[tuple[str, ImageSize], Any] = {}
    for setting in study.settings:
        for point in setting.points:
            config, key = point.config, (point.config.arch, point.config.side)
            with _naming_point(study, point):
                choose_device(config.device)
                if key not in made:
                    made = {key: build(config.arch, len(splits.classes), config.side)}
                make_task(config, made[key], torch.device("cpu"))


@contextmanager
def _naming_point(study: Study, point: Point) -> Iterator[None]:
    """Prefix an InputError's message with the file and the point."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{study.file}: settings.{point.name}: {error}") from None
