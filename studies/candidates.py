"""Forms of the calibrated objective, the one that was taken among them.

python studies/candidates.py leeds_butterfly cub_200_2011_20cls

Trains a network with each form once and measures it on the validation images: accuracy and the
mean energy of seven explanation methods inside the annotated foreground. See
docs/earlier_experiments.md.
"""

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn

import sib
from sib.data import make_loader, open_data
from sib.data.normalization import normalise
from sib.functional.appearance import _colours, _largest, _mean_by_colour
from sib.functional.mask import window_mean
from sib.functional.shares import energy
from sib.models import build
from sib.objectives.calibrated import WINDOW_SHARE, CalibratedSpatialIB

METHODS = [name for name in sib.explain.METHODS if name not in ("gradcam_pp", "vjp")]
FIXED = (0.6, 2.0, 2.0)
"""Weights of the shares themselves, chosen in ResNet-18."""


class Windows(CalibratedSpatialIB):
    """R's density in windows of half, one and two times the side, each over its largest value."""

    def __init__(self) -> None:
        super().__init__(*FIXED, balance=False)

    def _find_foreground(self, R: Tensor, images: Tensor) -> Tensor:
        return _largest(_favoured(R, images, (0.5, 1, 2)), self.area)


class LearntArea(CalibratedSpatialIB):
    """A learnt threshold τ in place of a set area: M = sigmoid((v / max v − τ) / 0.05).

    The loss has Σ λ · mean M added, so that a unit of area must hold a unit of what is shared out;
    the gradient of M reaches τ alone.
    """

    def __init__(self) -> None:
        super().__init__(*FIXED, balance=False)
        self.threshold = nn.Parameter(torch.tensor(0.5))

    def _find_foreground(self, R: Tensor, images: Tensor) -> Tensor:
        favoured = _favoured(R, images, (1,))
        highest = favoured.flatten(1).amax(dim=1)[:, None, None, None]
        return ((favoured / highest.clamp_min(1e-30) - self.threshold) / 0.05).sigmoid()

    def terms(self, parts: sib.Parts) -> dict[str, Tensor]:
        """With the price of the area."""
        return {**super().terms(parts), "area": parts.mask.mean()}

    def term_weights(self) -> dict[str, float]:
        """The area costs what the shares weigh together."""
        weights = super().term_weights()
        return {**weights, "area": sum(weights.values())}


@torch.no_grad()
def _favoured(R: Tensor, images: Tensor, scales: tuple[float, ...]) -> Tensor:
    """v of `appearance_foreground`, its density a mean over windows."""
    side = min(R.shape[-2:])
    sizes = [max(1, round(scale * WINDOW_SHARE * side)) for scale in scales]
    densities = [window_mean(energy(R), size, count_include_pad=False) for size in sizes]
    peaks = [density.flatten(1).amax(dim=1)[:, None, None, None] for density in densities]
    scaled = [d / peak.clamp_min(1e-30) for d, peak in zip(densities, peaks, strict=True)]
    strength = torch.stack(scaled).mean(dim=0).clamp_min(0).sqrt()
    shared = _mean_by_colour(strength, _colours(images))
    return window_mean(shared, max(1, round(WINDOW_SHARE * side)), count_include_pad=False)


def _balanced(share: float) -> Callable[[], CalibratedSpatialIB]:
    return lambda: CalibratedSpatialIB(share, share, share)


def _fixed(factor: float) -> Callable[[], CalibratedSpatialIB]:
    weights = [factor * weight for weight in FIXED]
    return lambda: CalibratedSpatialIB(*weights, balance=False)


CANDIDATES: dict[str, Callable[[], CalibratedSpatialIB | None]] = {
    "cross-entropy": lambda: None,
    "balanced, 0.05": _balanced(0.05),
    "balanced, 0.1": _balanced(0.1),
    "balanced, 0.2": _balanced(0.2),
    "balanced, 0.3": _balanced(0.3),
    "fixed": _fixed(1),
    "half of fixed": _fixed(0.5),
    "a quarter of fixed": _fixed(0.25),
    "fixed, three windows": Windows,
    "fixed, learnt area": LearntArea,
}


@dataclass(frozen=True)
class Options:
    """Train each form once and measure it on the validation images."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of images with foregrounds."""
    out: Path = Path("studies/results/candidates.json")
    """What was found; forms that stand there are not trained again."""
    forms: tuple[str, ...] = tuple(CANDIDATES)
    """To train."""
    arch: str = "small_resnet"
    """Architecture."""
    image_size: int = 64
    """Side of the images in pixels."""
    epochs: int = 20
    """Of each training."""
    batch_size: int = 32
    """Images in a step."""
    seed: int = 0
    """Of weights, order and splits."""


def main(options: Options) -> None:
    """Print a line for each form and data set, and keep it in ``out``; what is there is kept."""
    names = ("arch", "image_size", "epochs", "batch_size", "seed")
    own = {name: getattr(options, name) for name in names}
    kept = {"options": own, "found": {}}
    if options.out.exists():
        kept = json.loads(options.out.read_text())
        if kept["options"] != own:
            sys.exit(f"{options.out} holds figures of {kept['options']}: give another --out")
    for data, name in itertools.product(options.data, options.forms):
        key = f"{Path(data).name}: {name}"
        if key not in kept["found"]:
            kept["found"][key] = _measured(data, name, options)
            options.out.write_text(json.dumps(kept, indent=1) + "\n")
        print(key, kept["found"][key], flush=True)


def _measured(data: str, name: str, options: Options) -> dict[str, float]:
    splits = open_data(data, validation_fraction=0.2)
    common = {"image_size": options.image_size, "batch_size": options.batch_size}
    train = make_loader(
        splits.train, **common, augment="crop", train=True, seed=options.seed, minimum_batch=2
    )
    torch.manual_seed(options.seed)
    model = build(options.arch, len(splits.classes), options.image_size)
    objective = CANDIDATES[name]()
    area = _train(model, objective, train, options.epochs)
    result = _evaluate(model, make_loader(splits.validation, **common, train=False))
    if objective is not None:
        result["area"] = round(area, 3)
    if isinstance(objective, LearntArea):
        result["threshold"] = round(objective.threshold.item(), 3)
    if objective is not None and objective.balance:
        names = ("image_weight", "layer_weight", "stage_weight")
        weights = zip(names, objective.weights().tolist(), strict=True)
        result |= {name: round(weight, 3) for name, weight in weights}
    return result


def _train(
    model: nn.Module, objective: CalibratedSpatialIB | None, loader: object, epochs: int
) -> float:
    """Mean of M in the last epoch, 0 for plain cross-entropy."""
    task = sib.CrossEntropyTask(model) if objective is None else sib.SpatialIBTask(model, objective)
    own = list(model.parameters())
    groups: list[dict[str, object]] = [{"params": own, "lr": 1e-3}]
    if objective is not None and list(objective.parameters()):
        groups.append({"params": list(objective.parameters()), "lr": 1e-2, "weight_decay": 0})
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    for epoch in range(epochs):
        areas = [0.0]
        for batch in _epoch(loader, epoch):
            optimizer.zero_grad()
            out = task(*batch)
            out.loss.backward()
            optimizer.step()
            schedule.step()
            if out.terms is not None:
                areas.append(out.terms.mask.detach().mean().item())
    return sum(areas) / max(1, len(areas) - 1)


def _epoch(loader: object, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    loader.set_epoch(epoch)
    for batch in loader:
        yield normalise(batch.images, torch.device("cpu"), "half"), batch.labels


def _evaluate(model: nn.Module, loader: object) -> dict[str, float]:
    model.eval()
    right, inside = [], {method: [] for method in METHODS}
    for batch in loader:
        images = normalise(batch.images, torch.device("cpu"), "half")
        with torch.no_grad():
            right.append((model(images).argmax(dim=1) == batch.labels).float())
        for method, maps in sib.explain.attribute_all(
            model, images, methods=METHODS, n_steps=6, n_samples=4
        ).items():
            inside[method].append(sib.metrics.foreground_energy(maps, batch.foreground[:, 0]))
    energies = {name: torch.cat(values).nanmean().item() for name, values in inside.items()}
    mean = sum(energies.values()) / len(energies)
    figures = {"accuracy": torch.cat(right).mean().item(), "mean energy": mean, **energies}
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    main(tyro.cli(Options))
