"""Evaluating 100 images: our batches against a plain loop over captum and torchcam, interleaved.

python benchmarks/evaluate.py --data leeds_butterfly

The plain loop is what a user writes: one image at a time, each method by its library, the measures
of each map by the same functions; once with the libraries' own settings (captum: 50 points of
integrated gradients, 5 copies of SmoothGrad), once with ours.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from captum.attr import GuidedBackprop, InputXGradient, IntegratedGradients, NoiseTunnel, Saliency
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save
from torch import Tensor, nn
from torchcam.methods import GradCAM, GradCAMpp, LayerCAM

from sib.config.evaluate import AttributionConfig, EvaluateConfig
from sib.data import make_loader, open_data
from sib.data.normalization import normalise
from sib.evaluation.checkpoint import Checkpoint
from sib.evaluation.score_split import score_split
from sib.explain import METHODS
from sib.metrics import MAP_MEASURES
from sib.models import build
from sib.models.inference import for_inference
from sib.utils.device import choose_device

GRADIENTS = {
    "saliency": Saliency,
    "input_x_gradient": InputXGradient,
    "guided_backprop": GuidedBackprop,
}
CAPTUM = AttributionConfig(steps=50, samples=5)
CAMS = {"gradcam": GradCAM, "gradcam_pp": GradCAMpp, "layercam": LayerCAM}


@dataclass(frozen=True)
class Options:
    """Time an evaluation with all methods and all measures of a map."""

    data: str = "leeds_butterfly"
    """Folder of images with foregrounds."""
    arch: str = "resnet18"
    """Architecture, with random weights."""
    side: int = 96
    """Side of the square images."""
    rounds: int = 3
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    splits = open_data(options.data)
    torch.manual_seed(0)
    model = build(options.arch, len(splits.classes), options.side).to(device).eval()
    config = EvaluateConfig(run=Path(tempfile.gettempdir()))
    checkpoint = Checkpoint(
        name="benchmark",
        path=config.run,
        folder=config.run,
        model=for_inference(model),
        arch=options.arch,
        classes=None,
        outputs=len(splits.classes),
        image_size=options.side,
        normalization="half",
        run=None,
    )
    quiet = Console(quiet=True)
    variants: dict[str, Callable[[], object]] = {
        "one image at a time, captum's defaults": lambda: plain_loop(
            model, splits.test, options.side, CAPTUM, device
        ),
        "one image at a time, our settings": lambda: plain_loop(
            model, splits.test, options.side, config.attribution, device
        ),
        "sib evaluate": lambda: score_split(config, checkpoint, splits, device, quiet),
    }
    found = interleave(variants, options.rounds, device)
    ours = found["sib evaluate"]["seconds"]
    ratios = {name: found[name]["seconds"] / ours for name in variants}
    table = Table("", "seconds", "in evaluations of ours")
    for name, ratio in ratios.items():
        table.add_row(name, f"{found[name]['seconds']:.1f}", f"{ratio:.2f}")
    Console(width=100).print(table)
    if options.out is not None:
        facts = {"images": len(splits.test), "side": options.side, "arch": options.arch}
        facts |= vars(config.attribution)
        save(
            options.out,
            {"machine": machine(device), **facts, "ratios": ratios, "seconds": found},
        )


def plain_loop(
    model: nn.Module, source: object, side: int, config: AttributionConfig, device: torch.device
) -> list[dict[str, dict[str, float]]]:
    """Scores of each image, method and measure."""
    scores = []
    for batch in make_loader(source, image_size=side, batch_size=1, train=False):
        images = normalise(batch.images, device, "half")
        target = int(model(images).argmax())
        foreground = batch.foreground.squeeze(1).to(device)
        row = {}
        for method in METHODS:
            attribution = one_map(model, images, target, method, config).detach()
            row[method] = {
                name: float(measure.function(attribution, foreground))
                for name, measure in MAP_MEASURES.items()
            }
        scores.append(row)
    return scores


def one_map(
    model: nn.Module, images: Tensor, target: int, method: str, config: AttributionConfig
) -> Tensor:
    """The map (1, H, W) of one image, by the library that has the method."""
    inputs = images.clone().requires_grad_()
    if method in CAMS:
        with CAMS[method](model, "layer4") as extractor:
            (coarse,) = extractor(target, model(inputs), normalized=False)
        enlarged = torch.nn.functional.interpolate(coarse[None], images.shape[2:], mode="bilinear")
        return enlarged[:, 0]
    if method == "vjp":
        half = model(inputs).softmax(dim=1).square().sum() / 2
        return torch.autograd.grad(half, inputs)[0].abs().sum(dim=1)
    if method == "integrated_gradients":
        found = IntegratedGradients(model).attribute(inputs, target=target, n_steps=config.steps)
        return found.sum(dim=1)
    if method == "smoothgrad":
        tunnel = NoiseTunnel(Saliency(model))
        found = tunnel.attribute(
            inputs,
            nt_type="smoothgrad",
            nt_samples=config.samples,
            stdevs=0.15 * float(images.max() - images.min()),
            target=target,
            abs=False,
        )
        return found.abs().sum(dim=1)
    found = GRADIENTS[method](model).attribute(inputs, target=target)
    return found.sum(dim=1) if method == "input_x_gradient" else found.abs().sum(dim=1)


if __name__ == "__main__":
    main(tyro.cli(Options))
