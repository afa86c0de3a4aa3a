"""The tables of docs/earlier_experiments.md, from what sib study wrote.

python studies/markdown_tables.py studies/results/leeds/study.json
"""

import json
from pathlib import Path
from typing import Annotated, Any

import tyro

from sib.runs.archive import read_record

NAMES = {
    "mean_energy": "mean energy",
    "input_x_gradient": "input × gradient",
    "integrated_gradients": "integrated gradients",
    "smoothgrad": "SmoothGrad",
    "guided_backprop": "guided backprop.",
    "gradcam": "Grad-CAM",
    "layercam": "LayerCAM",
}


def main(study: Annotated[Path, tyro.conf.Positional]) -> None:
    """Print a table of means and one of differences to the reference, a row a setting.

    Args:
        study: study.json, of a study's folder or of the archive beside it.
    """
    found = json.loads(read_record(study))
    figures = ["accuracy", "mean_energy", *found["methods"]]
    print(found["interval"], end="\n\n")
    for key, title in (("figures", "setting"), ("difference", f"minus {found['reference']}")):
        print(f"| {title} | seeds | {' | '.join(NAMES.get(name, name) for name in figures)} |")
        print("|---" * (len(figures) + 2) + "|")
        for setting in found["settings"]:
            if setting[key]:
                cells = [cell(setting[key][name], key == "difference") for name in figures]
                count = setting[key]["accuracy"]["seeds"]
                print(f"| {setting['name']} | {count} | {' | '.join(cells)} |")
        print()


def cell(estimate: dict[str, Any], signed: bool) -> str:
    """Mean ± half the interval."""
    mean = f"{estimate['mean']:+z.3f}" if signed else f"{estimate['mean']:z.3f}"
    if estimate["low"] is None:
        return mean.replace("-", "−")
    half = (estimate["high"] - estimate["low"]) / 2
    return f"{mean} ± {half:.3f}".replace("-", "−")


if __name__ == "__main__":
    tyro.cli(main)
