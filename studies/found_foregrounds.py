"""How much of a foreground that is found without annotation lies on the object.

python studies/found_foregrounds.py RUN... [--split validation]

For each run, ways to find the fifth of the image that holds the object; the figure is the share of
that fifth inside the annotated foreground, mean over the images.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sib.data import make_loader
from sib.data.normalization import normalise
from sib.evaluation.checkpoint import open_checkpoint
from sib.evaluation.data import open_run_data
from sib.functional.appearance import appearance_foreground
from sib.functional.mask import window_mean
from sib.functional.reconstruction import vector_jacobian_products
from sib.functional.shares import energy, positive_attribution
from sib.models.features import FeatureCapture
from sib.objectives.calibrated import WINDOW_SHARE

AREA = 0.2


@dataclass(frozen=True)
class Options:
    """Compare ways to find the foreground."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders of sib train, on data with foregrounds."""
    data: str | None = None
    """Their data, where it does not lie where it lay."""
    split: Literal["test", "validation"] = "validation"
    """Images to look at."""
    batch_size: int = 25
    """Images at a time."""


def main(options: Options) -> None:
    """Print a table, a column a run."""
    columns = [_shares(folder, options) for folder in options.runs]
    table = Table("foreground", *(folder.name for folder in options.runs))
    for name in columns[0]:
        table.add_row(name, *(f"{column[name]:.3f}" for column in columns))
    Console(width=100).print(table)


def _shares(folder: Path, options: Options) -> dict[str, float]:
    checkpoint = open_checkpoint(folder, torch.device("cpu"))
    source = getattr(open_run_data(checkpoint, options.data, None), options.split)
    side, size = checkpoint.image_size, options.batch_size
    found: dict[str, list[Tensor]] = {}
    for batch in make_loader(source, image_size=side, batch_size=size, train=False):
        images = normalise(batch.images, torch.device("cpu"), checkpoint.normalization)
        for name, mask in _masks(checkpoint.model, images).items():
            inside = (mask * batch.foreground).flatten(1).sum(1) / mask.flatten(1).sum(1)
            found.setdefault(name, []).append(inside)
    return {name: torch.cat(values).nanmean().item() for name, values in found.items()}


def _masks(model: torch.nn.Module, images: Tensor) -> dict[str, Tensor]:
    images, features = images.requires_grad_(), FeatureCapture()
    with features.capture(model, images):
        logits = model(images)
    (output,) = features.pop()
    R, G = vector_jacobian_products(logits, (images, output), False, "margin")
    side = images.shape[-1]
    window = max(1, round(WINDOW_SHARE * side))
    fine = window_mean(energy(R), window, count_include_pad=False).clamp_min(0)
    coarse = F.interpolate(
        positive_attribution(features.as_map(output), features.as_map(G)).detach(),
        (side, side),
        mode="bilinear",
    )
    return {
        "the whole image": torch.ones_like(fine),
        "R² in a window": _top(fine),
        "evidence of the last stage": _top(coarse),
        "both, multiplied": _top(fine * coarse),
        "colours that R favours": appearance_foreground(R, images, window, AREA),
        "middle of the image": _top(_middle(fine)),
    }


def _top(values: Tensor) -> Tensor:
    threshold = values.flatten(1).quantile(1 - AREA, dim=1)[:, None, None, None]
    return (values > threshold).float()


def _middle(like: Tensor) -> Tensor:
    line = torch.linspace(-1, 1, like.shape[-1])
    return -(line[:, None] ** 2 + line**2).expand_as(like)


if __name__ == "__main__":
    main(tyro.cli(Options))
