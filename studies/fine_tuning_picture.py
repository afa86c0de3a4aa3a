"""The picture of docs/evidence.md: what training does to explanations, set by set.

python studies/fine_tuning_picture.py studies/results/finetune-{leeds,birds,pets}.tar.xz \
    --out docs/images/fine_tuning.png
"""

from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import tyro
from fine_tuning import EVEN, Runs, read_runs

from sib.study.interval import seed_interval

SETTINGS = {
    "ce": ("cross-entropy", "#777777"),
    "sib_floor": ("S-IB, no annotation", "#1f77b4"),
    "guided": ("S-IB, guided by masks or boxes", "#d95f02"),
}
TITLES = {"finetune-leeds": "butterflies", "finetune-birds": "birds", "finetune-pets": "pets"}
FIGURES = {"energy": "six maps made of gradients", "occlusion": "occlusion, no gradient"}


def main(archives: Annotated[tuple[Path, ...], tyro.conf.Positional], out: Path) -> None:
    """Draw a panel for each packed study.

    Args:
        archives: files OUT.tar.xz of `sib study --pack`.
        out: PNG file to write.
    """
    size = (3.1 * len(archives), 2.6)
    figure, panels = plt.subplots(1, len(archives), figsize=size, sharex=True, sharey=True)
    for panel, archive in zip(panels, archives, strict=True):
        draw(panel, read_runs(archive))
        name = archive.name.partition(".")[0]
        panel.set_title(TITLES.get(name, name), fontsize=10)
    panels[0].set_yticks(
        range(len(FIGURES)), [text.replace(", ", "\n") for text in FIGURES.values()]
    )
    panels[0].invert_yaxis()
    panels[len(panels) // 2].set_xlabel("share of an explanation inside the object", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)


def draw(panel: plt.Axes, runs: Runs) -> None:
    """Means over the seeds and their 95 % t intervals."""
    for offset, (setting, (label, color)) in zip((-0.22, 0, 0.22), SETTINGS.items(), strict=True):
        for row, name in enumerate(FIGURES):
            values = np.array([figures[name] for figures in runs[setting].values()])
            found = seed_interval(values[:, None])
            assert found.low is not None and found.high is not None
            margin = [[found.mean - found.low], [found.high - found.mean]]
            panel.errorbar(
                *(found.mean, row + offset, None, margin),
                **{"fmt": "o", "color": color, "ms": 5, "capsize": 3},
                label=label if row == 0 else None,
            )
            panel.annotate(
                f"{found.mean:.2f}",
                (found.high, row + offset),
                (5, 0),
                textcoords="offset points",
                fontsize=8,
                color=color,
                va="center",
            )
    even = next(iter(runs["ce"].values()))[EVEN]
    panel.axvline(even, color="#bbbbbb", ls=":", lw=1.2, label="an even map")
    panel.set_xlim(0.35, 1)
    panel.set_ylim(-0.5, len(FIGURES) - 0.5)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    tyro.cli(main)
