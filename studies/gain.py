"""How much of the energy that is left to gain the maps of a study have gained.

python studies/gain.py studies/results/finetune-leeds.tar.xz

Per image, (e − c) / (1 − c): e is the energy of a map, c that of an even map, which is the object's
share of the image. 0 is chance, 1 is a map inside the object. Means over the test images, then over
seeds; gradient methods together, and occlusion, which uses no gradient.
"""

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from sib.runs.archive import read_archive

ENERGY = "/energy_pointing_game"
GRADIENT_FREE = ("occlusion", "rise")


def main(archives: Annotated[tuple[Path, ...], tyro.conf.Positional]) -> None:
    """Print a table for each packed study, a row a setting.

    Args:
        archives: files OUT.tar.xz of sib study --pack.
    """
    print("| study | setting | seeds | gradient methods | occlusion |\n|---|---|---|---|---|")
    for archive in archives:
        found = defaultdict(list)
        for name, content in read_archive(archive):
            if name.endswith("/evaluation.csv"):
                run = Path(name).parent.name
                found[run.rpartition("-")[0]].append(_gains(content.decode()))
        for setting, gains in found.items():
            gradients, others = np.mean(gains, axis=0)
            study = archive.name.partition(".")[0]
            print(f"| {study} | {setting} | {len(gains)} | {gradients:.3f} | {others:.3f} |")


def _gains(text: str) -> tuple[float, float]:
    """Mean gain of the gradient methods, and of the others, NaN where there are none."""
    rows = list(csv.DictReader(io.StringIO(text)))
    chance = np.array([_number(row["foreground_share"]) for row in rows])
    chance[chance == 1] = np.nan  # nothing is left to gain where all of an image is object
    gradients, others = [], []
    for column in (name for name in rows[0] if name.endswith(ENERGY)):
        energy = np.array([_number(row[column]) for row in rows])
        gain = float(np.nanmean((energy - chance) / (1 - chance)))
        (others if column.removesuffix(ENERGY) in GRADIENT_FREE else gradients).append(gain)
    return float(np.mean(gradients)), float(np.mean(others)) if others else float("nan")


def _number(text: str) -> float:
    """A cell; NaN for an image that the measure leaves out."""
    return float(text) if text else float("nan")


if __name__ == "__main__":
    tyro.cli(main)
