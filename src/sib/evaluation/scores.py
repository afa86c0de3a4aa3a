"""Scores of every image, by method and measure, and the file that holds them."""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sib.data.sample import Label, labels_of
from sib.evaluation.statistics import Array
from sib.utils.errors import InputError
from sib.utils.ratio import ratio

ENERGY = "energy_pointing_game"
"""Measure of how much of an explanation lies inside the foreground."""
PROBABILITIES = "probabilities"
"""Column of the probabilities of all labels, behind `FACTS`, where an image has several."""
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
    """(N,) probability of the predicted class, the most probable one of several labels; NaN in an
    audit of several labels for an image without any."""
    foreground_share: list[float]
    """(N,) foreground's share of the image's area, NaN if the foreground is unknown."""
    columns: list[tuple[str, str]]
    """(C,) pairs of method and measure."""
    values: Array
    """(N, C), NaN where an image has no value."""
    probabilities: Array | None = None
    """(N, K) of all labels, where an image has several; None for one class, and in files of older
    evaluations."""

    @property
    def correct(self) -> Array:
        """(N,), 1 where the predicted class is the label; of several, where all of them are."""
        pairs = zip(self.labels, self.predicted, strict=True)
        return np.array([label == predicted for label, predicted in pairs], dtype=float)

    @property
    def truth(self) -> Array:
        """(N, K), 1 where an image has a label; K is that of the probabilities."""
        assert self.probabilities is not None
        found = np.zeros(self.probabilities.shape)
        for row, label in enumerate(self.labels):
            found[row, list(labels_of(label))] = 1
        return found

    def column(self, method: str, measure: str) -> Array:
        """(N,) values of one method under one measure."""
        return self.values[:, self.columns.index((method, measure))]


def energies(run: Scores, methods: Collection[str] | None = None) -> Array:
    """(N,) energy inside the foreground, mean over the methods that have it for an image.

    Args:
        run: scores of a run.
        methods: methods of explanation to average over. Default: all that the run has.
    """
    pairs = [pair for pair in run.columns if pair[1] == ENERGY]
    own = [run.column(*pair) for pair in pairs if methods is None or pair[0] in methods]
    values = np.stack(own) if own else np.full((1, len(run.names)), np.nan)
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))


def shared_methods(runs: Sequence[Scores]) -> list[str]:
    """Methods of explanation whose energy all runs have: only those can be compared."""
    first = [method for method, measure in runs[0].columns if measure == ENERGY]
    return [method for method in first if all((method, ENERGY) in run.columns for run in runs)]


def to_csv(scores: Scores) -> str:
    """One line per image; a column ``METHOD/MEASURE`` for each pair, empty without a value.

    Floats are written so that reading restores the same bits.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    has_all = scores.probabilities is not None
    extra = [PROBABILITIES] if has_all else []
    writer.writerow([*FACTS, *extra, *("/".join(pair) for pair in scores.columns)])
    facts = zip(
        scores.names,
        scores.labels,
        scores.predicted,
        scores.probability,
        scores.correct.astype(int).tolist(),
        scores.foreground_share,
        strict=True,
    )
    every = [] if scores.probabilities is None else scores.probabilities.tolist()
    for index, (fact, row) in enumerate(zip(facts, scores.values.tolist(), strict=True)):
        own = (tuple(every[index]),) if has_all else ()
        writer.writerow([_text(value) for value in (*fact, *own, *row)])
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
        has_all = header[len(FACTS) : len(FACTS) + 1] == [PROBABILITIES]
        first = len(FACTS) + has_all
        columns = [_pair(name) for name in header[first:]]
        facts = list(zip(*(row[:first] for row in rows), strict=True))
        values = np.array([[_number(cell) for cell in row[first:]] for row in rows])
        return Scores(
            list(facts[0]),
            [_label(cell) for cell in facts[1]],
            [_label(cell) for cell in facts[2]],
            [_number(cell) for cell in facts[3]],
            [_number(cell) for cell in facts[5]],
            columns,
            values.reshape(len(rows), len(columns)),
            np.array([_floats(cell) for cell in facts[len(FACTS)]]) if has_all else None,
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
        return f"[{';'.join(map(repr, value))}]"
    return str(value)


def _label(cell: str) -> Label:
    if cell[:1] == "[" and cell[-1:] == "]":
        return tuple(int(each) for each in cell[1:-1].split(";") if each)
    return int(cell)


def _floats(cell: str) -> list[float]:
    return [float(each) for each in cell[1:-1].split(";")]


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")
