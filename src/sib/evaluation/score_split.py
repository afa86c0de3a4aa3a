"""Scores of every image of a split, one batch after another."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from sib import distributed
from sib.config.evaluate import EvaluateConfig
from sib.data import BadSample, Batch, Splits, make_loader
from sib.data.normalization import normalise
from sib.data.open import NO_DIGITS
from sib.data.sample import Label
from sib.data.subset import SubsetSource, limited
from sib.data.transforms import JointTransform
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.foregrounds import LabelForegrounds
from sib.evaluation.maps import maps_of, print_costs, print_left_out
from sib.evaluation.measures import score
from sib.evaluation.scores import Scores
from sib.explain import available_methods
from sib.explain.state import logits_of
from sib.functional.label_kinds import THRESHOLD, kind_of
from sib.utils.errors import InputError
from sib.utils.progress_bar import progress


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
