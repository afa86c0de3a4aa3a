"""Maps and their measures on random images: images a second by method, and for all together.

python benchmarks/explanations.py [--device cuda] [--out FILE]

No data set is needed. What a method of explanation cannot do is recorded with its reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, one_line, save
from torch import Tensor, nn
from training_steps import allow_tf32

from sib.config.evaluate import AttributionConfig
from sib.explain import METHODS, attribute_all, available_methods
from sib.metrics import MAP_MEASURES
from sib.models import build
from sib.models.inference import for_inference
from sib.utils.device import choose_device

ALL = "all methods and measures"
SETTINGS = AttributionConfig()


@dataclass(frozen=True)
class Options:
    """Time explanations of random images."""

    architectures: tuple[str, ...] = ("resnet18", "efficientnet_b0")
    """Names of architectures, with random weights."""
    batch: int = 32
    """Images in a batch."""
    side: int = 224
    """Side of the square images."""
    rounds: int = 3
    """Counted rounds."""
    seconds: float = float("inf")
    """No further round of a network starts after this time."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    allow_tf32(False)
    rows: list[dict[str, Any]] = []
    for name in options.architectures:
        facts = {"architecture": name, "batch": options.batch, "side": options.side}
        try:
            rows.append(facts | {"methods": _time(name, options, device)})
        except Exception as error:  # whatever a network raises: the others are still to be timed
            rows.append(facts | {"failed": one_line(error)})
        if options.out is not None:
            save(options.out, {"machine": machine(device), **vars(SETTINGS), "rows": rows})
    Console(width=100).print(_table(rows))


def _time(name: str, options: Options, device: torch.device) -> dict[str, dict[str, Any]]:
    torch.manual_seed(0)
    model = for_inference(build(name, 100, options.side).to(device).eval())
    images = torch.randn(options.batch, 3, options.side, options.side, device=device)
    foreground = torch.rand(options.batch, options.side, options.side, device=device) < 0.3
    possible = available_methods(model, images[:2])
    variants: dict[str, Callable[[], object]] = {
        method: lambda method=method: _maps(model, images, (method,)) for method in METHODS
    }
    variants[ALL] = lambda: _evaluate(model, images, foreground, possible)
    found = interleave(
        variants, options.rounds, device, budget=options.seconds, catch=True, repeat_for=1e-9
    )
    for each in found.values():
        if "failed" not in each:
            each["images_per_second"] = options.batch / each["seconds"]
    return found


def _maps(model: nn.Module, images: Tensor, methods: tuple[str, ...]) -> dict[str, Tensor]:
    return attribute_all(
        model,
        images,
        methods=methods,
        n_steps=SETTINGS.steps,
        n_samples=SETTINGS.samples,
        chunk_size=SETTINGS.chunk,
    )


def _evaluate(
    model: nn.Module, images: Tensor, foreground: Tensor, methods: list[str]
) -> list[Tensor]:
    maps = _maps(model, images, tuple(methods))
    return [
        measure.function(attribution, foreground).cpu()
        for attribution in maps.values()
        for measure in MAP_MEASURES.values()
    ]


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("images a second", *(row["architecture"] for row in rows))
    for method in (*METHODS, ALL):
        cells = []
        for row in rows:
            found = row.get("methods", {}).get(method, {})
            rate = found.get("images_per_second")
            cells.append("failed" if rate is None else f"{rate:.1f}")
        table.add_row(method, *cells)
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
