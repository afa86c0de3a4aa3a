"""The tables of docs/evidence.md on fine-tuning, from the records of its studies.

python studies/fine_tuning.py studies/results/finetune-{leeds,birds,pets}.tar.xz \
    --settings sib_floor guided

Mean ± half the 95 % t interval over the seeds or splits that have a figure. Differences are paired
by seed and split. The energy and the gain are means over the methods that need a gradient;
occlusion needs none and stands apart. The gain is (e − c) / (1 − c) per image, with a map's energy
e and the object's share c of the image: 0 is chance, 1 a map inside the object. An even map has the
energy c. Insertion and deletion are means over all methods, the figures of behaviour means over the
ways of filling in a background or an object.

With --further, the runs of a second study of each set stand beside those of the first. Its
evaluations may cover fewer images: energy, occlusion and gain are then means over the images that
all evaluations of a set cover, and accuracy is that on the whole test split.
"""

import csv
import io
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from markdown_tables import cell

from sib.runs.archive_file import read_archive
from sib.study.audits import FIGURES, figures_of
from sib.study.interval import seed_interval

ENERGY = "energy_pointing_game"
GRADIENT_FREE = ("occlusion", "rise")
EVEN = "energy of an even map"
MEASURES = {"insertion_area": "insertion", "deletion_area": "deletion"}

Records = list[tuple[Path, bytes]]
"""The files of the runs in an archive, and their contents."""

Runs = dict[str, dict[str, dict[str, float]]]
"""Figures of each setting, by seed or split."""


def main(
    archives: Annotated[tuple[Path, ...], tyro.conf.Positional],
    settings: tuple[str, ...] = (),
    reference: str = "ce",
    further: tuple[Path, ...] = (),
) -> None:
    """Print a table for each packed study, and one of all differences together.

    Args:
        archives: files OUT.tar.xz of `sib study --pack`.
        settings: those to print, beside the reference; default: all.
        reference: the setting that is subtracted.
        further: a second study of the same data for each archive, in the same order.
    """
    if further and len(further) != len(archives):
        raise SystemExit(f"--further: give one archive for each of the {len(archives)} archives")
    pooled: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for archive, *more in zip(archives, *([further] if further else []), strict=True):
        runs = read_runs(archive, *more)
        names = settings or tuple(name for name in runs if name != reference)
        print(f"\n{archive.name.partition('.')[0]}\n")
        head = [reference, *names, *(f"{name} minus {reference}" for name in names)]
        print(f"| | {' | '.join(head)} |\n|---" + "|---" * len(head) + "|")
        for figure in figures_in(runs, (reference, *names)):
            cells = [_interval(_values(runs, name, figure)) for name in (reference, *names)]
            for name in names:
                found = _differences(runs, name, reference, figure)
                pooled[name][figure] += found
                cells.append(_interval(found, signed=True))
            print(f"| {figure} | {' | '.join(cells)} |")
    if len(archives) > 1:
        print(
            f"\nall, minus {reference}\n\n| | {' | '.join(pooled)} |\n|---"
            + "|---" * len(pooled)
            + "|"
        )
        for figure in next(iter(pooled.values())):
            print(
                f"| {figure} |",
                " | ".join(_interval(p[figure], True) for p in pooled.values()),
                "|",
            )


def read_runs(*archives: Path) -> Runs:
    """The figures of every evaluated run of one or several studies of the same data.

    If a later study has a run of the same name as an earlier one, the setting of that run is called
    `NAME_again` there.
    """
    found: Runs = defaultdict(lambda: defaultdict(dict))
    records = _of_runs(archives[0])
    for archive in archives[1:]:
        records += _renamed(_of_runs(archive), records)
    images = common_images(records) if len(archives) > 1 else None
    for file, content in sorted(records, key=lambda each: "audit" in each[0].name):
        setting, repeat = setting_and_repeat(file.parent.name)
        figures = found[setting][repeat]
        if file.name == "evaluation.json" and images is None:
            figures |= evaluation_figures(json.loads(content))
        elif file.name == "evaluation.csv":
            figures |= per_image_figures(content.decode(), images)
        elif file.name == "result.json":
            figures["accuracy on the whole test split"] = json.loads(content)["test"]["accuracy"]
        elif file.name == "audit.json":
            known = figures_of(json.loads(content)["conditions"])
            figures |= {FIGURES[key].label.strip(): value for key, value in known.items()}
    return found


def _of_runs(archive: Path) -> Records:
    """The files of the runs; evaluations on validation lie deeper, and are left out."""
    found = [(Path(name), content) for name, content in read_archive(archive)]
    return [(file, content) for file, content in found if file.parent.parent.name == "runs"]


def _renamed(records: Records, earlier: Records) -> Records:
    """The records, with another name for the settings that have a run of the earlier records."""
    runs, before = ({file.parent.name for file, _ in each} for each in (records, earlier))
    twice = {setting_and_repeat(run)[0] for run in runs & before}
    found = []
    for file, content in records:
        setting, repeat = setting_and_repeat(file.parent.name)
        if setting in twice:
            file = file.parent.with_name(f"{setting}_again-{repeat}") / file.name
        found.append((file, content))
    return found


def common_images(records: Records) -> set[str]:
    """The images that the evaluations all cover."""
    found = [
        {row["image"] for row in csv.DictReader(io.StringIO(content.decode()))}
        for file, content in records
        if file.name == "evaluation.csv"
    ]
    return set.intersection(*found)


def setting_and_repeat(run: str) -> tuple[str, str]:
    """The setting of a run, and its seed and split: `sib-split2-0` is `sib` and `split2-0`."""
    found = re.fullmatch(r"(.+?)-((?:split\d+-)?\d+)", run)
    assert found is not None, f"{run} must end in the number of a seed"
    return found[1], found[2]


def evaluation_figures(evaluation: dict[str, Any]) -> dict[str, float]:
    """Accuracy, energy, and the measures that remove pixels."""
    table = evaluation["table"]
    by_gradient = [row[ENERGY]["mean"] for name, row in table.items() if name not in GRADIENT_FREE]
    figures = {"accuracy": evaluation["accuracy"]["mean"], "energy": float(np.mean(by_gradient))}
    figures |= {name: table[name][ENERGY]["mean"] for name in GRADIENT_FREE if name in table}
    for measure, label in MEASURES.items():
        if all(measure in row for row in table.values()):
            figures[label] = float(np.mean([row[measure]["mean"] for row in table.values()]))
    return figures


def per_image_figures(text: str, images: set[str] | None) -> dict[str, float]:
    """Means over the images of an evaluation.csv: gains, and the energy of an even map and of each
    method that needs a gradient; of a choice of images, also the mean energies.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    rows = [row for row in rows if images is None or row["image"] in images]
    chance = np.array([_number(row["foreground_share"]) for row in rows])
    even = float(np.nanmean(chance))
    chance[chance == 1] = np.nan  # nothing is left to gain where all of an image is object
    found: dict[str, list[float]] = defaultdict(list)
    for column in (name for name in rows[0] if name.endswith(f"/{ENERGY}")):
        method = column.partition("/")[0]
        by_gradient = method not in GRADIENT_FREE
        energy = np.array([_number(row[column]) for row in rows])
        mean = float(np.nanmean(energy))
        if by_gradient:
            found[f"energy of {method}"].append(mean)
        if images is not None:
            found["energy" if by_gradient else method].append(mean)
        kind = "gain" if by_gradient else f"gain of {method}"
        found[kind].append(float(np.nanmean((energy - chance) / (1 - chance))))
    return {kind: float(np.mean(each)) for kind, each in found.items()} | {EVEN: even}


def figures_in(runs: Runs, settings: tuple[str, ...]) -> list[str]:
    """The names of the figures that any of the settings has; behaviour comes last."""
    every = (figures for name in settings for figures in runs.get(name, {}).values())
    found = dict.fromkeys(figure for figures in every for figure in figures)
    behaviour = {figure.label.strip() for figure in FIGURES.values()}
    return sorted(found, key=behaviour.__contains__)


def _values(runs: Runs, setting: str, figure: str) -> list[float]:
    return [each[figure] for each in runs.get(setting, {}).values() if figure in each]


def _differences(runs: Runs, setting: str, reference: str, figure: str) -> list[float]:
    own, other = runs.get(setting, {}), runs.get(reference, {})
    return [
        own[seed][figure] - other[seed][figure]
        for seed in sorted(own.keys() & other.keys())
        if figure in own[seed] and figure in other[seed]
    ]


def _interval(values: list[float], signed: bool = False) -> str:
    if not values:
        return "–"
    return cell(seed_interval(np.array(values)[:, None])._asdict(), signed)


def _number(text: str) -> float:
    """A cell; NaN for an image that the measure leaves out."""
    return float(text) if text else float("nan")


if __name__ == "__main__":
    tyro.cli(main)
