"""The largest foreground energy that a class activation map of a given grid can have.

python studies/cam_ceiling.py DATA... [--sides 96 112 224] [--stride 32] [--split validation]

A map of h × h places is enlarged bilinearly to the image, so that even one with a single place, the
best of them, spreads over the edge of the object. No other map has more energy, since the energy of
a sum is a mean of those of its places. The figures are means over the images.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table

from sib.data import make_loader, open_data


@dataclass(frozen=True)
class Options:
    """Bound what class activation maps can reach."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Data sets with foregrounds, as for sib train."""
    sides: tuple[int, ...] = (96, 112, 224)
    """Of the images."""
    stride: int = 32
    """Pixels from one place of the last stage to the next; 32 in a ResNet."""
    split: Literal["validation", "test"] = "validation"
    """Images to look at."""


def main(options: Options) -> None:
    """Print a table, a row a data set and side."""
    table = Table("data", "side", "places", "even map", "best place alone")
    for data in options.data:
        source = getattr(open_data(data, validation_fraction=0.2), options.split)
        for side in options.sides:
            count = math.ceil(side / options.stride)
            even, best = _energies(source, side, count)
            places = f"{count} × {count}"
            table.add_row(data, str(side), places, f"{even:.3f}", f"{best:.3f}")
    Console(width=100).print(table)


def _energies(source: object, side: int, count: int) -> tuple[float, float]:
    """Mean energy of an even map, and of the best one, which has a single place."""
    single = torch.eye(count**2).view(count**2, 1, count, count)
    maps = F.interpolate(single, (side, side), mode="bilinear").flatten(1)
    maps = maps / maps.sum(dim=1, keepdim=True)
    loader = make_loader(source, image_size=side, batch_size=50, train=False)  # type: ignore[arg-type]
    inside = torch.cat([batch.foreground.flatten(1).float() for batch in loader])
    return inside.mean().item(), (inside @ maps.T).amax(dim=1).mean().item()


if __name__ == "__main__":
    main(tyro.cli(Options))
