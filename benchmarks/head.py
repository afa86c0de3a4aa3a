"""Mask, alignment and background alone: forward and backward, naive and ours.

python benchmarks/head.py [--rounds 11] [--out benchmarks/results/head-cpu.json]
"""

from dataclasses import dataclass
from pathlib import Path

import naive
import torch
import tyro
from rich.console import Console
from rich.table import Table
from timing import interleave, machine, save

import sib.functional as SF
from sib.utils.device import choose_device

SHAPES = ((16, 64), (8, 224), (32, 224))


@dataclass(frozen=True)
class Options:
    """Time the head of the S-IB step."""

    shapes: tuple[tuple[int, int], ...] = SHAPES
    """Images in a batch and their side, for each row."""
    rounds: int = 11
    """Counted rounds."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path | None = None
    """JSON file to write."""


def main(options: Options) -> None:
    """Print a table and write the JSON file."""
    device = choose_device(options.device)
    table = Table("batch × side", "naive, ms", "ours, ms", "naive / ours")
    rows = []
    for batch, side in options.shapes:
        torch.manual_seed(0)
        images = torch.randn(batch, 3, side, side, device=device)
        R = (torch.randn_like(images) * 1e-5).requires_grad_()
        variants = {"naive": lambda: _naive(R, images), "ours": lambda: _ours(R, images)}  # noqa: B023
        repeat_for = 0.05 if device.type == "cuda" else 0.0
        found = interleave(variants, options.rounds, device, repeat_for=repeat_for)
        ratio = found["naive"]["seconds"] / found["ours"]["seconds"]
        rows.append({"batch": batch, "side": side, "ratio": ratio, **found})
        milliseconds = [f"{found[name]['seconds'] * 1e3:.1f}" for name in variants]
        table.add_row(f"{batch} × {side}²", *milliseconds, f"{ratio:.1f}")
    Console().print(table)
    if options.out is not None:
        save(options.out, {"machine": machine(device), "rows": rows})


def _naive(R: torch.Tensor, images: torch.Tensor) -> None:
    alignment, variance = naive.head(R, images)
    torch.autograd.grad(variance * 1e8 - alignment, R)


def _ours(R: torch.Tensor, images: torch.Tensor) -> None:
    mask = SF.foreground_mask(R)
    alignment = SF.foreground_alignment(R, images, mask)
    variance = SF.background_variance(R, mask)
    torch.autograd.grad(variance * 1e8 - alignment, R)


if __name__ == "__main__":
    main(tyro.cli(Options))
