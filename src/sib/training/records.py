"""What a run records: of an epoch, of its best epoch, of its test, and beside its weights."""

import math
from collections.abc import Mapping
from typing import Any

from sib.config.train import TrainConfig
from sib.data import Splits
from sib.training.validation import Measurement
from sib.utils.image_size import plain_size

OPTIMISTIC = "the best epoch was chosen on the test split, so the test figure is optimistic"


def is_better(measured: Measurement, best: Mapping[str, float]) -> bool:
    """Whether an epoch is better than the best so far: by accuracy or mAP, then by its loss.

    NaN is worse than any number. The mAP is NaN if no image of the split has a label.
    """
    if not best:
        return True
    accuracy = measured.labels.map_macro if measured.labels else measured.accuracy
    before = best.get("map_macro", best["accuracy"])
    return _rank(accuracy, measured.cross_entropy) > _rank(before, best["cross_entropy"])


def _rank(accuracy: float, loss: float) -> tuple[float, ...]:
    """Larger for a better epoch."""
    return tuple(-math.inf if math.isnan(value) else value for value in (accuracy, -loss))


def best_words(measured: Measurement, best: Mapping[str, float]) -> str:
    """How an epoch that is better than the best so far is reported."""
    accuracy = measured.labels.map_macro if measured.labels else measured.accuracy
    if best and accuracy == best.get("map_macro", best["accuracy"]):
        return "best so far: a tie, with the lower loss"
    return "best so far"


def best_record(epoch: int, measured: Measurement) -> dict[str, float]:
    """What is kept of the best epoch."""
    return {
        "epoch": epoch,
        "accuracy": measured.accuracy,
        **({"map_macro": measured.labels.map_macro} if measured.labels else {}),
        "cross_entropy": measured.cross_entropy,
    }


def result_record(
    config: TrainConfig,
    epoch: int,
    best: Mapping[str, float],
    test: Measurement,
    averaged: Measurement | None,
) -> dict[str, Any]:
    """The content of ``result.json``.

    Args:
        config: the run's options.
        epoch: number of finished epochs.
        best: as returned by `best_record`.
        test: of the best epoch's weights, on the test split.
        averaged: of the averaged weights; None where no average is kept.
    """
    result: dict[str, Any] = {
        "selection": config.selection,
        "best_epoch": best["epoch"],
        f"{config.selection}_accuracy": best["accuracy"],
    }
    if "map_macro" in best:
        result[f"{config.selection}_map_macro"] = best["map_macro"]
    result["test"] = test.record()
    if averaged is not None:
        result["ema"] = {"epoch": epoch, "test": averaged.record()}
    if epoch < config.epochs:
        result["stopped_after"] = epoch
    if config.selection == "test":
        result["note"] = OPTIMISTIC
    return result


def weight_facts(
    config: TrainConfig, splits: Splits, epoch: int, layer: str | None
) -> dict[str, Any]:
    """What the header of a file of weights holds, so that the file can be used alone.

    Args:
        config: the run's options.
        splits: its images.
        epoch: number of finished epochs.
        layer: the one that was given, or found by trying; None for the architecture's own.
    """
    return {
        "arch": config.arch,
        "classes": splits.classes,
        "image_size": plain_size(config.side),
        "resize": config.input.resize,
        "normalization": config.input.normalization,
        **({"label_kind": "multi"} if splits.label_kind == "multi" else {}),
        "epoch": epoch,
        **({"layer": layer} if layer else {}),
    }
