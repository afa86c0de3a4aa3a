"""Scores of every image, by method and measure, and the file that holds them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sib.data.sample import Label
from sib.evaluation.statistics import Array
from sib.utils.errors import InputError

FACTS = ("image", "label", "predicted", "probability", "correct", "foreground_share")


@dataclass(frozen=True)
class Scores:
    """The results for each of N images."""

    names: list[str]
    """(N,) names of the images."""
    labels: Sequence[Label]
    """(N,) classes, or several labels each."""
    predicted: Sequence[Label]
    probability: list[float]
    """(N,) probability of the predicted class, the most probable one of several labels."""
    foreground_share: list[float]
    """(N,) foreground's share of the image's area, NaN if the foreground is unknown."""
    columns: list[tuple[str, str]]
    """(C,) pairs of method and measure."""
    values: Array
    """(N, C), NaN where an image has no value."""
    figures: dict[str, float] = field(default_factory=dict)
    """mAP and F1 of several labels an image; not in the file."""

    @property
    def correct(self) -> Array:
        """(N,), 1 where the predicted class is the label; of several, where all of them are."""
        pairs = zip(self.labels, self.predicted, strict=True)
        return np.array([label == predicted for label, predicted in pairs], dtype=float)

    def column(self, method: str, measure: str) -> Array:
        """(N,) values of one method under one measure."""
        return self.values[:, self.columns.index((method, measure))]


def to_csv(scores: Scores) -> str:
    """One line per image; a column ``METHOD/MEASURE`` for each pair, empty without a value.

    Floats are written so that reading restores the same bits.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FACTS, *("/".join(pair) for pair in scores.columns)])
    facts = zip(
        scores.names,
        scores.labels,
        scores.predicted,
        scores.probability,
        scores.correct.astype(int).tolist(),
        scores.foreground_share,
        strict=True,
    )
    for fact, row in zip(facts, scores.values.tolist(), strict=True):
        writer.writerow([_text(value) for value in (*fact, *row)])
    return text.getvalue()


def read_scores(path: Path) -> Scores:
    """Read what `to_csv` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file))
        if tuple(header[: len(FACTS)]) != FACTS or not rows:
            raise ValueError("its first line is not as expected")
        if not all(len(row) == len(header) for row in rows):
            raise ValueError("a line has more or fewer cells than the first")
        columns = [_pair(name) for name in header[len(FACTS) :]]
        facts = list(zip(*(row[: len(FACTS)] for row in rows), strict=True))
        values = np.array([[_number(cell) for cell in row[len(FACTS) :]] for row in rows])
        return Scores(
            list(facts[0]),
            [_label(cell) for cell in facts[1]],
            [_label(cell) for cell in facts[2]],
            [float(cell) for cell in facts[3]],
            [_number(cell) for cell in facts[5]],
            columns,
            values.reshape(len(rows), len(columns)),
        )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path} is damaged: {error}; run sib evaluate again") from None


def stack(runs: Sequence[Scores], columns: Sequence[tuple[str, str]]) -> Array:
    """(S, N, C) values of several runs."""
    return np.stack([run.values[:, [run.columns.index(pair) for pair in columns]] for run in runs])


def _pair(name: str) -> tuple[str, str]:
    method, slash, measure = name.partition("/")
    if not slash:
        raise ValueError(f"column {name!r} is not METHOD/MEASURE")
    return method, measure


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value)
    if isinstance(value, tuple):  # several labels: [0;2]
        return f"[{';'.join(map(str, value))}]"
    return str(value)


def _label(cell: str) -> Label:
    if cell[:1] == "[" and cell[-1:] == "]":
        return tuple(int(each) for each in cell[1:-1].split(";") if each)
    return int(cell)


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")
