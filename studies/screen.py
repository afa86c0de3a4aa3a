"""Changes to S-IB in fine-tuning, each trained once and measured on validation images.

python studies/screen.py leeds_butterfly cub_200_2011_20cls --weights weights/lite0.safetensors \
    --out studies/results/screen.json

EfficientNet-Lite0 from its ImageNet weights with frozen batch norm, as `sib train` fine-tunes it.
The forms are in studies/screened.py, what they say in docs/evidence.md. Test images are not used.
Forms that --out holds are printed and not trained again; for these, neither images nor weights are
needed.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import tyro
from screened import FORMS, CutMixRegion, Form, TopKPool, cutmix, divergence
from torch import Tensor, nn

import sib
from sib.data import Splits, make_loader, open_data
from sib.data.found import FoundSource
from sib.data.normalization import normalise
from sib.data.subset import SubsetSource, spaced_indices
from sib.functional.exchange import exchange_backgrounds
from sib.models.build import build_from
from sib.models.start import Start, read_start
from sib.objectives.calibrated import CalibratedSpatialIB
from sib.training.found_foreground import View, find_foregrounds

ARCH = "timm/tf_efficientnet_lite0"
METHODS = ("saliency", "input_x_gradient", "integrated_gradients", "gradcam", "layercam")
CPU = torch.device("cpu")
LEARNING_RATE = 3e-4


@dataclass(frozen=True)
class Options:
    """Train each form and measure it on the validation images."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of images with foregrounds."""
    weights: Path
    """ImageNet weights of EfficientNet-Lite0."""
    out: Path = Path("studies/results/screen.json")
    """What was found; forms that it holds are not trained again."""
    forms: tuple[str, ...] = tuple(FORMS)
    """To train."""
    seeds: tuple[int, ...] = (0,)
    """Of the new head and of the order of the images."""
    image_size: int = 112
    """Side of the images in pixels."""
    epochs: int = 4
    """Of each training."""
    batch_size: int = 16
    """Images in a step."""
    explained: int = 60
    """Validation images whose maps are measured."""


def main(options: Options) -> None:
    """Print a line for each form, data set and seed, and keep it in ``out``."""
    unknown = set(options.forms) - set(FORMS)
    if unknown:
        sys.exit(f"unknown form {unknown.pop()!r}: allowed are {', '.join(FORMS)}")
    own = {name: getattr(options, name) for name in ("image_size", "epochs", "batch_size")}
    kept: dict[str, Any] = {"options": own, "found": {}}
    if options.out.exists():
        kept = json.loads(options.out.read_text())
        if kept["options"] != own:
            sys.exit(f"{options.out} holds figures of {kept['options']}: give another --out")
    for seed, data, name in itertools.product(options.seeds, options.data, options.forms):
        key = f"{Path(data).name}, seed {seed}: {name}"
        if key not in kept["found"]:
            kept["found"][key] = Screen(data, seed, options).measure(FORMS[name])
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(kept, indent=1) + "\n")
        print(key, kept["found"][key], flush=True)
    print(table(kept["found"]))


def table(found: dict[str, dict[str, float]]) -> str:
    """A Markdown table of all that was measured, a row each."""
    columns = ("accuracy", "other backgrounds", "mean energy", "saliency", "gradcam", "occlusion")
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for key, figures in found.items():
        lines.append(f"| {key} | " + " | ".join(f"{figures[name]:.3f}" for name in columns) + " |")
    return "\n".join(lines)


class Screen:
    """A data set under one seed."""

    def __init__(self, data: str, seed: int, options: Options) -> None:
        self.seed, self.options = seed, options
        self.splits, self.start, self.maps = opened(data, options)

    def measure(self, form: Form) -> dict[str, float]:
        """Train one form and measure it."""
        model = self.model(form)
        teacher = self.teacher(form) if form.teacher else None
        self.train(model, form, teacher)
        return self.evaluate(model)

    def model(self, form: Form) -> nn.Module:
        """The start network with a new head."""
        torch.manual_seed(self.seed)
        model, _ = build_from(self.start, ARCH, len(self.splits.classes), self.options.image_size)
        if form.fine:
            model.blocks[5][0].conv_dw.stride = (1, 1)
        if form.top_k:
            model.global_pool = TopKPool()
        return model

    def teacher(self, form: Form) -> nn.Module:
        """A network fine-tuned on images that are grey outside the found foregrounds."""
        model = self.model(Form(None))
        self.train(model, Form(None, area=form.area), None, masked=True)
        return model.eval().requires_grad_(False)

    def train(
        self, model: nn.Module, form: Form, teacher: nn.Module | None, masked: bool = False
    ) -> None:
        """Fine-tune as `sib train` does from weights."""
        objective = objective_of(form)
        criterion = F.binary_cross_entropy_with_logits if form.binary else None
        task = sib.Task(
            model,
            objective,
            criterion,
            batch_norm="frozen",
            every_n_steps=2 if form.divergence else 1,
        ).train()
        optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=1e-4)
        source = self.source(form)
        loader = self.loader(source, train=True)
        steps = self.options.epochs * len(loader)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        random = torch.Generator().manual_seed(self.seed)
        for step, batch in enumerate(self.epochs(loader, source, form)):
            images, labels, foreground = batch
            if masked:
                images = images * foreground
            if form.warm_up and objective is not None:
                set_weights(objective, form.weight * min(1.0, 2 * step / steps))
            if form.mix:
                active = torch.rand((), generator=random) < form.mix
                images, labels, foreground = self.mixed(
                    batch, objective, random if active else None
                )
            elif form.binary:
                labels = F.one_hot(labels, len(self.splits.classes)).float()
                foreground = foreground * labels[:, :, None, None]
            optimizer.zero_grad()
            known = None if objective is None else foreground
            out = task(images, labels, known, step=step)
            loss = out.loss
            if form.divergence and step % 2:
                loss = loss + divergence(model, out.logits, images, foreground)
            if teacher is not None:
                with torch.no_grad():
                    target = teacher(images * batch[2]).log_softmax(dim=1)
                loss = loss + F.kl_div(
                    out.logits.log_softmax(dim=1), target, reduction="batchmean", log_target=True
                )
            task.backward(loss)
            optimizer.step()
            schedule.step()

    def mixed(
        self,
        batch: tuple[Tensor, Tensor, Tensor],
        objective: CalibratedSpatialIB | None,
        random: torch.Generator | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A batch mixed by CutMix; without a source of randomness the batch as it is."""
        images, labels, foreground = batch
        classes = len(self.splits.classes)
        mixed = cutmix(images, labels, foreground, classes, random or torch.Generator())
        if random is None:
            mixed.images, mixed.foreground = images, foreground
            mixed.labels = F.one_hot(labels, classes).float()
            mixed.box, mixed.partner = torch.zeros_like(mixed.box), labels
        if isinstance(objective, CutMixRegion):
            objective.mixed = mixed
        return mixed.images, mixed.labels, mixed.foreground

    def source(self, form: Form) -> Any:
        """The training images with the foregrounds that this form uses."""
        train = self.splits.train
        if form.annotated:
            return train
        size = self.options.image_size
        return FoundSource(train, self.maps, form.area[0], size, "squash", [False] * len(train))

    def loader(self, source: Any, train: bool) -> Any:
        """Batches of a source."""
        size, batch = self.options.image_size, self.options.batch_size
        augment = "flip" if train else "none"
        return make_loader(
            source,
            image_size=size,
            batch_size=batch,
            train=train,
            augment=augment,
            seed=self.seed,
            minimum_batch=2 if train else 1,
        )

    def epochs(self, loader: Any, source: Any, form: Form) -> Iterator[tuple[Tensor, ...]]:
        """Every batch of every epoch."""
        first, last = form.area
        for epoch in range(self.options.epochs):
            if not form.annotated:
                source.area = first + (last - first) * epoch / max(1, self.options.epochs - 1)
            loader.set_epoch(epoch)
            for batch in loader:
                images = normalise(batch.images, CPU, self.start.normalization)
                yield images, batch.labels, batch.foreground.float()

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy, accuracy before other backgrounds, and the energy of maps."""
        model.eval()
        torch.manual_seed(0)  # the same backgrounds for each form
        validation = self.splits.validation
        right, exchanged = [], []
        for batch in self.loader(validation, train=False):
            images = normalise(batch.images, CPU, self.start.normalization)
            other = exchange_backgrounds(images, batch.foreground.float(), share=1.0)
            with torch.no_grad():
                right.append(model(images).argmax(dim=1) == batch.labels)
                exchanged.append(model(other).argmax(dim=1) == batch.labels)
        spaced = spaced_indices(self.options.explained, len(validation))
        methods = (*METHODS, "occlusion")
        inside: dict[str, list[Tensor]] = {method: [] for method in methods}
        for batch in self.loader(SubsetSource(validation, spaced), train=False):
            images = normalise(batch.images, CPU, self.start.normalization)
            maps = sib.explain.attribute_all(model, images, methods=methods, n_steps=8)
            for method, own in maps.items():
                inside[method].append(sib.metrics.foreground_energy(own, batch.foreground[:, 0]))
        energies = {name: torch.cat(values).nanmean().item() for name, values in inside.items()}
        figures = {
            "accuracy": torch.cat(right).float().mean().item(),
            "other backgrounds": torch.cat(exchanged).float().mean().item(),
            "mean energy": sum(energies[name] for name in METHODS) / len(METHODS),
            **energies,
        }
        return {name: round(value, 4) for name, value in figures.items()}


@cache
def opened(data: str, options: Options) -> tuple[Splits, Start, dict[str, Tensor]]:
    """The splits, the start weights, and the maps that the start network gives."""
    splits = open_data(data, validation_fraction=0.3)
    start = read_start(options.weights, ARCH, 224)
    model, _ = build_from(start, ARCH, len(splits.classes), 224)
    view = View(224, "squash", start.normalization, CPU)
    found = find_foregrounds(model.eval(), splits.train, view, 0.2)
    return splits, start, dict(zip(found.names, found.maps, strict=True))


def objective_of(form: Form) -> CalibratedSpatialIB | None:
    """The objective in the unit that runs from weights use."""
    if form.objective is None:
        return None
    weights = (form.weight,) * 3
    objective = form.objective(*weights, balance_floor=1.0)
    if isinstance(objective, CutMixRegion):
        objective.found = form.found_region
    return objective


def set_weights(objective: CalibratedSpatialIB, weight: float) -> None:
    """Give every term the same weight."""
    objective.image_weight = objective.layer_weight = objective.stage_weight = weight


if __name__ == "__main__":
    main(tyro.cli(Options))
