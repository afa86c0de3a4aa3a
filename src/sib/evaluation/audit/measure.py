"""Auditing one classifier."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from sib import distributed
from sib.config.audit import AuditConfig
from sib.data import Splits, make_loader
from sib.data.annotation_notes import sentences
from sib.data.source import Source
from sib.data.transforms import JointTransform
from sib.data.understood import remarks, understood
from sib.evaluation.audit.figures import classes_of, figures, first_rows, gaps, guessed, overall
from sib.evaluation.audit.groups import find_groups
from sib.evaluation.audit.images import AuditImages
from sib.evaluation.audit.merge import by_image, in_order, label_scores_of, scores_of
from sib.evaluation.audit.source import audit_source, check_foreground
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.classes import order_note, with_classes
from sib.evaluation.data import check_classes, open_run_data
from sib.evaluation.foregrounds import LabelForegrounds
from sib.evaluation.from_options import open_from_options
from sib.evaluation.scores import Scores
from sib.evaluation.stored import AUDIT, Evaluation
from sib.metrics.behaviour import behaviour_of, label_behaviour_of
from sib.runs.versions import versions
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.normalization import statistics
from sib.utils.progress_bar import progress


def open_audited(
    config: AuditConfig, run: Path, info: Callable[[str], object] = lambda sentence: None
) -> tuple[Checkpoint, Splits]:
    """The classifier and its data.

    Args:
        config: the command's options.
        run: run folder or file of weights.
        info: called with sentences about what was found.

    Raises:
        InputError: they cannot be opened or do not fit, or there are no foregrounds.
    """
    # beside a file of weights, a run keeps what it records
    own = run.is_dir() and not all(each.is_dir() for each in config.runs)
    options = replace(config, arch=None, normalization=None) if own else config
    kind = "multi" if config.labels is not None and not own else None
    checkpoint = open_from_options(options, run, choose_device(config.device), label_kind=kind)
    checkpoint = with_classes(checkpoint, None if own else config.classes)
    splits = open_run_data(
        checkpoint,
        config.data,
        config.root,
        masks=config.masks,
        annotations=config.annotations,
        labels=config.labels,
        split=config.split,
        skip_bad=config.on_bad_image == "skip",
        info=info,
    )
    check_classes(checkpoint, splits)
    check_foreground(checkpoint, splits, config.split)
    return checkpoint, splits


def audit(config: AuditConfig, run: Path, console: Console) -> Evaluation:
    """Audit one classifier.

    Args:
        config: the command's options.
        run: run folder or file of weights, one of those in ``config``.
        console: for the progress bar.

    Returns:
        The audit as it can be written; its folder is where it belongs.

    Raises:
        InputError: bad input, in one sentence.
    """

    def info(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    device = distributed.join(config.device)
    checkpoint, splits = distributed.raise_on_all_ranks(lambda: open_audited(config, run, info))
    for sentence in (
        checkpoint.input,
        *sentences(splits.description),
        f"{splits.name}: {understood(splits)}",
        *filter(None, [order_note(checkpoint, splits.classes)]),
        *remarks(splits),
    ):
        info(sentence)
    source, foreground, words, skipped = distributed.raise_on_all_ranks(
        lambda: audit_source(
            checkpoint,
            splits,
            options(config),
            device,
            console,
            config.workers,
            skip_bad=config.on_bad_image == "skip",
        )
    )
    start = time.perf_counter()
    groups = find_groups(config.groups, splits, source.names, console)
    objects = _label_foregrounds(config, checkpoint, splits)
    scores, images = _score(config, checkpoint, device, source, groups, objects, console)
    names = groups[0] if groups else None
    scored = np.isfinite(scores.column("original", "correct"))
    several = objects is not None
    facts: dict[str, Any] = {
        "format": AUDIT.format,
        **checkpoint.record(),
        "classes": splits.classes,
        "groups": names,
        "foreground": foreground,
        "foreground_words": words,
        "options": options(config),
        "images": len(images.names),
        "scored": len({name for name, known in zip(scores.names, scored, strict=True) if known}),
        **({"pairs": int(scored.sum())} if several else {}),
        "left_out": left_out(scores),
        "skipped": skipped,
        **guessed(scores, checkpoint.outputs),
        "accuracy": overall(scores, config.resamples),
        "conditions": figures(scores, splits.classes, names, config.resamples),
        "background_gap": gaps(scores, config.resamples),
        "resamples": config.resamples,
        "data": splits.description,
        "pixels_sha256": images.pixels_sha256,
        "device": str(device),
        "processes": distributed.size(),
        "seconds": round(time.perf_counter() - start, 1),
        "command": ["sib", *sys.argv[1:]],
        "versions": versions(),
    }
    return Evaluation(config.out or checkpoint.folder, facts, scores, checkpoint.run)


def options(config: AuditConfig) -> dict[str, Any]:
    """What must be equal for two audits to be compared."""
    return {name: getattr(config, name) for name in ("split", "limit", "donors", "noise", "seed")}


def left_out(scores: Scores) -> dict[str, int]:
    """Number of images that cannot be audited, by reason."""
    share = np.array(scores.foreground_share)
    of_images = share[first_rows(scores)]
    found = {
        "without_foreground": int((of_images == 0).sum()),
        "all_foreground": int((of_images == 1).sum()),
    }
    if ("original", "label") in scores.columns:
        unscored = np.isnan(scores.column("original", "correct")) & (classes_of(scores) >= 0)
        found["labels_without_object"] = int((unscored & (share > 0) & (share < 1)).sum())
    return found


def _label_foregrounds(
    config: AuditConfig, checkpoint: Checkpoint, splits: Splits
) -> LabelForegrounds | None:
    """The objects of each label; None for one class an image."""
    if checkpoint.label_kind != "multi":
        return None
    transform = JointTransform(checkpoint.image_size, resize=checkpoint.resize)
    return LabelForegrounds(getattr(splits, config.split), transform)


def _score(
    config: AuditConfig,
    checkpoint: Checkpoint,
    device: torch.device,
    source: Source,
    groups: tuple[list[str], dict[str, int]] | None,
    objects: LabelForegrounds | None,
    console: Console,
) -> tuple[Scores, AuditImages]:
    loader = make_loader(
        source,
        image_size=checkpoint.image_size,
        resize=checkpoint.resize,
        batch_size=config.batch_size,
        train=False,
        workers=config.workers,
    )
    with progress(console, f"auditing {checkpoint.name}", 2 * len(source)) as bar:
        known = groups[1] if groups else None
        images = AuditImages(loader, checkpoint, device, known, bar, objects)
        table = distributed.raise_on_all_ranks(lambda: _behaviour(config, checkpoint, images))
    tables = distributed.all_gather_object(table)
    if objects is not None:
        return label_scores_of(by_image(tables), images.names), images
    table = in_order(tables, len(images.names), config.batch_size)
    return scores_of(table, images.names), images


def _behaviour(
    config: AuditConfig, checkpoint: Checkpoint, images: AuditImages
) -> dict[str, Tensor]:
    """The values of the images that this process shows to the classifier."""
    mean, deviation = statistics(checkpoint.normalization)
    audited = label_behaviour_of if checkpoint.label_kind == "multi" else behaviour_of
    try:
        return audited(
            checkpoint.model,
            images,
            config.condition_names,
            mean=mean,
            deviation=deviation,
            noise=config.noise,
            donors=config.donors,
            seed=config.seed,
            rank=distributed.rank(),
            ranks=distributed.size(),
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{checkpoint.path} cannot be audited: {error}") from None
