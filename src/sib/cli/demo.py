"""The demonstration: cross-entropy and S-IB on the built-in data, and a picture of both."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from sib.cli.console import ConsoleReporter
from sib.config.demo import DemoConfig
from sib.config.evaluate import EvaluateConfig
from sib.config.options import InputConfig, ObjectiveConfig
from sib.config.report import ReportConfig
from sib.config.train import TrainConfig
from sib.data.normalization import normalise
from sib.data.subset import spaced_indices
from sib.evaluation.evaluate import evaluate
from sib.figures.picture import Lane, draw_lanes
from sib.functional.decision import decision_vjp
from sib.models import SmallResNet, build
from sib.objectives.registry import method_title
from sib.report.command import report
from sib.runs.folder import RunFolder
from sib.training.loop import train
from sib.training.setup import make_task
from sib.training.splits import open_splits
from sib.utils.device import choose_device
from sib.utils.errors import InputError
from sib.utils.signals import Stopped
from sib.utils.terminal import show_tables

METHODS = ("ce", "sib")
REPORT_IMAGES = 200
"""Test images whose explanations are measured for the report."""
SHOWN = 8
"""Images in the picture."""
WINDOW = 7
"""Side of the published mask's density window: 31 of 224 pixels, on 48."""
HINT = (
    "S-IB ran with the {kind} objective, --objective {other} runs the other one. One seed on "
    "synthetic images shows how the tool works, not how well the method does."
)


def demo(config: DemoConfig, console: Console) -> None:
    """Run the demonstration.

    Raises:
        InputError: the device or the folder cannot be used.
    """
    _check(config)
    for method in METHODS:
        RunFolder(config.out / method).clear()
    results: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        console.rule(method_title(method))
        try:
            result = train(_train_config(config, method), ConsoleReporter(console))
        except Stopped as stop:
            raise Stopped(stop.number, "stopped; sib demo starts from the beginning") from None
        assert result is not None  # only a dry run has none
        results[method] = result["test"]
    console.rule("the built-in test images")
    show_tables(console, [_table(results)])
    other = "published" if config.objective == "calibrated" else "calibrated"
    console.print(HINT.format(kind=config.objective, other=other), highlight=False)
    picture = _draw(config, results)
    console.print(f"picture: {picture}", highlight=False, soft_wrap=True)
    _report(config, console)


def _report(config: DemoConfig, console: Console) -> None:
    """Evaluate both runs by every method, and write the page about them."""
    runs = tuple(config.out / method for method in METHODS)
    for run in runs:
        evaluate(EvaluateConfig(run=run, limit=REPORT_IMAGES, device=config.device), console)
    report(ReportConfig(runs=runs, out=config.out / "report.html", device=config.device), console)


def _check(config: DemoConfig) -> None:
    """Everything that can be wrong, before anything is removed."""
    if config.images < 40:
        raise InputError(f"--images must be at least 40; got {config.images}")
    choose_device(config.device)
    for method in METHODS:
        run = _train_config(config, method)
        make_task(run, SmallResNet(10), torch.device("cpu"))
    open_splits(run)


def _train_config(config: DemoConfig, method: Any) -> TrainConfig:
    return TrainConfig(
        data="digits",
        out=config.out / method,
        arch="small_resnet",
        method=method,
        epochs=config.epochs,
        seed=config.seed,
        device=config.device,
        workers=0,
        objective=_objective(config) if method == "sib" else ObjectiveConfig(),
        input=InputConfig(
            normalization="half",
            background_strength=config.background_strength,
            train_size=config.images,
            test_size=config.images // 4,
        ),
    )


def _objective(config: DemoConfig) -> ObjectiveConfig:
    if config.objective == "calibrated":
        return ObjectiveConfig()
    return ObjectiveConfig(kind="published", window_size=WINDOW)


def _table(results: dict[str, dict[str, Any]]) -> Table:
    table = Table("trained with", "test accuracy", "foreground energy of the VJP")
    for method, test in results.items():
        table.add_row(
            method_title(method), f"{test['accuracy']:.3f}", f"{test['foreground_energy']:.3f}"
        )
    share = next(iter(results.values()))["foreground_share"]
    table.add_row("an even map", "", f"{share:.3f}")
    return table


def _draw(config: DemoConfig, results: dict[str, dict[str, Any]]) -> Path:
    """Test images with their foregrounds, and the VJP under each method."""
    splits = open_splits(_train_config(config, "sib"))
    samples = [splits.test[index] for index in spaced_indices(SHOWN, len(splits.test))]
    images = torch.stack([sample.image for sample in samples])
    device = choose_device(config.device)
    lanes = []
    for method in METHODS:
        run = _train_config(config, method)
        model = build(run.arch, len(splits.classes), run.side)
        RunFolder(run.folder).load_weights("best", model)
        inputs = normalise(images, device, run.input.normalization)
        strength = _strength(model.to(device).eval(), inputs)
        lanes.append(Lane(_title(method, results[method]), strength))
    path = config.out / "picture.png"
    title = "The image, its foreground outlined. The background, too, suggests the class."
    draw_lanes(path, images, [sample.foreground for sample in samples], title, lanes)
    return path


def _title(method: str, test: dict[str, Any]) -> str:
    return (
        f"{method_title(method)}: accuracy {test['accuracy']:.3f}, energy inside the foreground "
        f"{test['foreground_energy']:.3f}"
    )


def _strength(model: nn.Module, inputs: Tensor) -> Tensor:
    """Σ_c |R|, (B, H, W), of a model in evaluation mode; inputs are normalised, (B, 3, H, W)."""
    inputs.requires_grad_()
    return decision_vjp(model(inputs), inputs).abs().sum(dim=1).cpu()
