"""Measuring the explanations of a classifier over a split."""

import hashlib
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from sib import distributed
from sib.config.checks import check_image_size
from sib.config.evaluate import AttributionConfig, EvaluateConfig
from sib.data import BadSample, Batch, Splits, make_loader
from sib.data.annotate import sentences
from sib.data.normalization import normalise
from sib.data.open import NO_DIGITS
from sib.data.sample import Label
from sib.data.subset import SubsetSource, limited
from sib.data.transforms import JointTransform
from sib.data.understood import plural, remarks, understood
from sib.evaluation.checkpoint import Checkpoint, open_checkpoint
from sib.evaluation.classes import with_classes
from sib.evaluation.data import check_classes, open_run_data
from sib.evaluation.foregrounds import LabelForegrounds
from sib.evaluation.label_intervals import NAMES, label_interval
from sib.evaluation.maps import layer_of, maps_of, print_costs, print_layer, print_left_out
from sib.evaluation.measures import score
from sib.evaluation.scores import Scores
from sib.evaluation.statistics import mean_interval
from sib.evaluation.stored import EVALUATION
from sib.evaluation.tables import evaluation_rows, evaluation_table
from sib.explain import available_methods, default_methods
from sib.explain.state import logits_of
from sib.functional.label_kinds import THRESHOLD, kind_of
from sib.runs.versions import versions
from sib.utils.errors import InputError
from sib.utils.progress_bar import progress
from sib.utils.terminal import show_tables, suggest

UNION = "the union of the objects of an image, whatever their labels"
OF_LABEL = "the objects of the explained label; the union of all where an image has none of these"
LATER = {"masks": AttributionConfig.masks}
"""Options that older evaluations lack, with the values that stand for them."""


def evaluate(config: EvaluateConfig, console: Console) -> dict[str, Any]:
    """Measure, and write ``evaluation.json`` and ``evaluation.csv``.

    Args:
        config: the command's options.
        console: for the progress bar.

    Returns:
        The content of ``evaluation.json``, and the ``folder`` that it was written to.

    Raises:
        InputError: bad input, in one sentence.
    """
    device = distributed.join(config.device)
    checkpoint, splits = distributed.raise_on_all_ranks(lambda: _open(config, device, console))
    start = time.perf_counter()
    scores, pixels, skipped, foregrounds = score_split(config, checkpoint, splits, device, console)
    if skipped:
        say(
            console,
            f"left out: {plural(len(skipped))} that cannot be read, the first: {skipped[0]}",
        )
    if any(foregrounds.values()):
        say(console, _describe_foregrounds(foregrounds))
    layer = layer_of(checkpoint)
    by_label = foregrounds["of_label"] > 0
    found = summarise(scores) | {
        "format": EVALUATION.format,
        **checkpoint.record(),
        "layers": None if layer is None else layer.as_dict(),
        **(_foreground_facts(foregrounds) if checkpoint.label_kind == "multi" else {}),
        "classes": splits.classes,
        "options": options(config) | ({"foregrounds": "of label"} if by_label else {}),
        "unavailable": [name for name in default_methods() if name not in methods_of(scores)],
        "data": splits.description,
        "pixels_sha256": pixels,
        "skipped": skipped,
        "device": str(device),
        "processes": distributed.size(),
        "seconds": round(time.perf_counter() - start, 1),
        "command": ["sib", *sys.argv[1:]],
        "versions": versions(),
    }
    folder = config.out or checkpoint.folder
    distributed.raise_on_all_ranks(
        lambda: EVALUATION.save(folder, scores, found) if distributed.is_main_process() else None
    )
    return found | {"folder": str(folder)}


def _foreground_facts(counts: dict[str, int]) -> dict[str, Any]:
    """The record of the foregrounds of several labels an image."""
    return {"foregrounds": OF_LABEL if counts["of_label"] else UNION, "foreground_images": counts}


def _describe_foregrounds(counts: dict[str, int]) -> str:
    """Which foregrounds the metrics of localisation took, in words."""
    if not counts["of_label"]:
        return f"foregrounds: {UNION}; no annotation names the class of an object"
    return (
        f"foregrounds: of the explained label in {plural(counts['of_label'])}; of all objects in "
        f"{counts['union']}, whose annotation has no object of that label"
    )


def _open(
    config: EvaluateConfig, device: torch.device, console: Console
) -> tuple[Checkpoint, Splits]:
    """The classifier and its images, with a line about each."""
    checkpoint = open_checkpoint(
        config.run,
        device,
        which=config.weights,
        arch=config.arch,
        image_size=check_image_size(config.image_size),
        resize=config.resize,
        normalization=config.normalization,
        layer=config.layer,
        trust_code=config.trust_code,
        label_kind=None if config.labels is None else "multi",
    )
    console.print(checkpoint.input, highlight=False, markup=False, soft_wrap=True)
    checkpoint = with_classes(checkpoint, config.classes)
    splits = open_run_data(
        checkpoint,
        config.data,
        config.root,
        masks=config.masks,
        annotations=config.annotations,
        labels=config.labels,
        split=config.split,
        skip_bad=config.on_bad_image == "skip",
        say=lambda sentence: say(console, sentence),
    )
    for sentence in sentences(splits.description):
        say(console, sentence)
    check_classes(checkpoint, splits)
    say(console, f"{splits.name}: {understood(splits)}")
    for remark in remarks(splits):
        say(console, remark)
    print_layer(console, layer_of(checkpoint), config.methods)
    return checkpoint, splits


def say(console: Console, sentence: str) -> None:
    """Print one sentence."""
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def evaluate_and_show(config: EvaluateConfig, console: Console) -> None:
    """``sib evaluate``: `evaluate`, and its table on the screen."""
    found = evaluate(config, console)
    if not distributed.is_main_process():
        return
    show_tables(console, [evaluation_table(found)], evaluation_rows(found))
    console.print(f"written to {found['folder']}", highlight=False, markup=False, soft_wrap=True)
    if config.run.is_dir():
        suggest(console, ("report", config.run), ("compare", config.run, "OTHER_RUN"))


def score_split(
    config: EvaluateConfig,
    checkpoint: Checkpoint,
    splits: Splits,
    device: torch.device,
    console: Console,
) -> tuple[Scores, str, list[str], dict[str, int]]:
    """Every image's scores, a checksum of the pixels, problems of images that were left out, and
    how many images of several labels have a foreground of the explained one."""
    skip_bad = config.on_bad_image == "skip"
    source = limited(getattr(splits, config.split), config.limit)
    places = distributed.own_places(len(source), config.batch_size)
    loader = make_loader(
        source if distributed.size() == 1 else SubsetSource(source, places),
        image_size=checkpoint.image_size,
        resize=checkpoint.resize,
        batch_size=config.batch_size,
        train=False,
        workers=config.workers,
        skip_bad=skip_bad,
    )
    own = getattr(splits, config.split) if checkpoint.label_kind == "multi" else NO_DIGITS
    transform = JointTransform(checkpoint.image_size, resize=checkpoint.resize)
    scorer = _Scorer(config, checkpoint, device, console, LabelForegrounds(own, transform))
    checksum, skipped, rows = hashlib.sha256(), [], []
    batches = -(-len(source) // config.batch_size)
    with progress(console, f"evaluating {checkpoint.name}", len(source)) as bar:
        for found in distributed.share_out(loader, batches, scorer.score):
            skipped += found.skipped
            for pixels in found.pixels:
                checksum.update(pixels.tobytes())
            if found.row:
                rows.append(found.row)
                bar(len(found.row[0]))
    rows, digest, skipped = distributed.broadcast_object((rows, checksum.hexdigest(), skipped))
    if not rows:
        raise InputError(f"no image of {splits.name} can be read: {skipped[0]}")
    names, labels, predicted, probability, share, values, of_label, methods = zip(
        *rows, strict=True
    )
    several = labels[0].ndim == 2
    known, chosen = torch.cat(share).isfinite(), torch.cat(of_label)
    counts = {"of_label": int(chosen.sum()), "union": int((known & ~chosen).sum()) * several}
    return (
        Scores(
            [name for part in names for name in part],
            _as_labels(torch.cat(labels)),
            _as_labels(torch.cat(predicted)),
            torch.cat(probability).double().tolist(),
            torch.cat(share).double().tolist(),
            [(method, metric) for method in methods[0] for metric in config.metrics],
            torch.cat(values).double().numpy(),
            torch.cat(predicted).double().numpy() if several else None,
        ),
        digest,
        skipped,
        counts,
    )


class _Scored(NamedTuple):
    """The results of one batch."""

    skipped: list[str]
    """What was wrong with images that were left out."""
    pixels: tuple[np.ndarray, ...] = ()
    """Images and foregrounds, for the checksum."""
    row: tuple[Any, ...] = ()
    """Columns of the batch, and the methods; empty if no image could be read."""


class _Scorer:
    """Scores one batch after another; the first batch decides which methods are used."""

    def __init__(
        self,
        config: EvaluateConfig,
        checkpoint: Checkpoint,
        device: torch.device,
        console: Console,
        foregrounds: LabelForegrounds,
    ) -> None:
        self.foregrounds = foregrounds
        self.config, self.checkpoint = config, checkpoint
        self.device, self.console = device, console
        self.methods: list[str] = []

    def score(self, batch: Batch | BadSample) -> _Scored:
        """The scores of a batch.

        Raises:
            InputError: an image cannot be read and none may be left out.
        """
        if isinstance(batch, BadSample):
            if self.config.on_bad_image != "skip":
                raise InputError(batch.message)
            return _Scored([batch.message, *batch.others])
        images = normalise(batch.images, self.device, self.checkpoint.normalization)
        if not self.methods:
            self._choose_methods(images)
        row = self._score_batch(images, batch)
        pixels = (batch.images.numpy(), batch.foreground.numpy())
        return _Scored(list(batch.skipped), pixels, (*row, self.methods))

    def _choose_methods(self, images: Tensor) -> None:
        model = self.checkpoint.model
        if not self.config.methods:
            print_left_out(self.console, model, images)
        self.methods = list(self.config.methods) or available_methods(model, images)
        size = (images.shape[2], images.shape[3])
        print_costs(self.console, self.methods, size, self.config.attribution)

    def _score_batch(self, images: Tensor, batch: Batch) -> tuple[Any, ...]:
        config, model, device = self.config, self.checkpoint.model, images.device
        with torch.no_grad():
            probabilities = kind_of(model).probabilities(logits_of(model, images).float())
        if not probabilities.isfinite().all():
            path = self.checkpoint.path
            raise InputError(f"{path} gives logits that are not finite ({batch.names[0]})")
        probability, predicted = probabilities.max(dim=1)
        targets = _targets(config.target, probabilities, batch.labels.to(device))
        union = batch.foreground.squeeze(1).to(device)
        foreground, of_label = self.foregrounds.select(batch.names, targets, union)
        maps = maps_of(model, images, targets, self.methods, config.attribution)
        columns = [
            score(metric, method, model, images, maps[method], targets, foreground).cpu()
            for method in self.methods
            for metric in config.metrics
        ]
        # the objects of a label may lie outside of a crop that others are in
        area = foreground.flatten(1).float().mean(dim=1).cpu()
        share = torch.where(batch.annotated & (area > 0), area, torch.nan)
        values = torch.stack(columns, dim=1)
        own = (batch.labels, predicted.cpu())
        if batch.labels.ndim == 2:
            own = (batch.labels, probabilities.cpu())
        return batch.names, *own, probability.cpu(), share, values, of_label


def _targets(target: str, probabilities: Tensor, labels: Tensor) -> Tensor:
    """(B,) classes to be explained; of several labels the most probable of those meant."""
    if target == "predicted":
        return probabilities.argmax(dim=1)
    if labels.ndim == 1:
        return labels
    # an image without a label has its most probable one explained
    shown = labels + (labels.sum(dim=1, keepdim=True) == 0)
    return (probabilities - 2 * (1 - shown)).argmax(dim=1)


def _as_labels(values: Tensor) -> list[Label]:
    """Numbers of classes; for (N, K), whose values are probabilities, the labels above 0.5."""
    if values.ndim == 1:
        return values.tolist()
    return [tuple(row.nonzero().flatten().tolist()) for row in values > THRESHOLD]


def _label_figures(scores: Scores) -> dict[str, Any]:
    """mAP and F1 of several labels an image with their intervals; none for one class."""
    if scores.probabilities is None:
        return {}
    interval = label_interval(scores.probabilities, scores.truth)
    rows = zip(NAMES, *(part.tolist() for part in interval[:3]), strict=True)
    return {"labels": {name: _entry(*row) for name, *row in rows if not np.isnan(row[0])}}


def summarise(scores: Scores) -> dict[str, Any]:
    """Accuracy, and each method's measures, as means with 95 % intervals over images."""
    accuracy = mean_interval(scores.correct[:, None])
    table: dict[str, dict[str, Any]] = {method: {} for method in methods_of(scores)}
    if scores.columns:
        interval = mean_interval(scores.values)
        for (method, measure), mean, low, high, images in zip(
            scores.columns, *(part.tolist() for part in interval), strict=True
        ):
            table[method][measure] = _entry(mean, low, high) | {
                "images": images,
                "without_value": len(scores.names) - images,
            }
    share = np.array(scores.foreground_share)
    known = share[np.isfinite(share)]
    return {
        "images": len(scores.names),
        "annotated": len(known),
        "foreground_share": float(known.mean()) if len(known) else None,
        "accuracy": _entry(*(part.item() for part in accuracy[:3])),
        **_label_figures(scores),
        "table": table,
    }


def _entry(mean: float, low: float, high: float) -> dict[str, float | None]:
    values = {"mean": mean, "low": low, "high": high}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def methods_of(scores: Scores) -> list[str]:
    """The methods, in order."""
    return list(dict.fromkeys(method for method, _ in scores.columns))


def options(config: EvaluateConfig) -> dict[str, Any]:
    """What must be equal for two evaluations to be compared."""
    return {
        "split": config.split,
        "limit": config.limit,
        "target": config.target,
        "normalize": "none",
        **{
            name: value
            for name, value in vars(config.attribution).items()
            if name not in LATER or value != LATER[name]
        },
    }
