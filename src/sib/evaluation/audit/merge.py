"""Scores of an audit, from the tables of its processes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sib.data.sample import Label
from sib.evaluation.scores import Scores
from sib.metrics.behaviour import conditions_of

VALUES = ("correct", "changed", "added", "log_odds_change", "predicted")
"""Columns of each condition; ``added`` with several labels an image, ``predicted`` with one."""


def in_order(tables: list[dict[str, Tensor]], count: int, chunk: int) -> dict[str, Tensor]:
    """Merge the processes' tables, given by rank, into one of all images."""
    places = [
        place
        for rank in range(len(tables))
        for place in range(count)
        if place // chunk % len(tables) == rank
    ]
    order = torch.tensor(places).argsort()
    filled = [table for table in tables if table]
    return {name: torch.cat([table[name] for table in filled])[order] for name in filled[0]}


def by_image(tables: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Merge the processes' tables of pairs into one, in the order of the images."""
    filled = [table for table in tables if table]
    order = torch.cat([table["image"] for table in filled]).argsort(stable=True)
    return {name: torch.cat([table[name] for table in filled])[order] for name in filled[0]}


def scores_of(table: dict[str, Tensor], names: Sequence[str]) -> Scores:
    """The values of each image.

    Args:
        table: the table of `behaviour_of`.
        names: (N,) names of the images.
    """
    return _scores(table, list(names), table["label"].tolist(), table["predicted"].tolist(), {})


def label_scores_of(table: dict[str, Tensor], names: Sequence[str]) -> Scores:
    """The values of each pair of image and label; the column ``original/label`` has its label.

    Args:
        table: the table of `label_behaviour_of`.
        names: (N,) names of the images.
    """
    own = [names[place] for place in table["image"].tolist()]
    present, decided = (
        [tuple(row.nonzero().flatten().tolist()) for row in table[name]]
        for name in ("present", "decided")
    )
    label = {("original", "label"): _known(table["label"])}
    return _scores(table, own, present, decided, label)


def _scores(
    table: dict[str, Tensor],
    names: list[str],
    labels: Sequence[Label],
    predicted: Sequence[Label],
    columns: dict[tuple[str, str], Tensor],
) -> Scores:
    unscored = ~table["scored"]
    columns = columns | {
        ("original", "correct"): table["correct"].masked_fill(unscored, torch.nan),
        ("original", "log_odds"): table["log_odds"],
        ("original", "donor"): _known(table["donor"]),
        ("original", "same_class_donor"): _known(table["same_class_donor"]),
    }
    if "group" in table:
        columns["original", "group"] = _known(table["group"])
    for condition in conditions_of(table):
        for value in VALUES:
            column = table.get(f"{condition}/{value}")
            if column is not None:
                columns[condition, value] = _known(column) if value == "predicted" else column
    return Scores(
        names,
        labels,
        predicted,
        table["log_odds"].sigmoid().tolist(),
        table["foreground_share"].tolist(),
        list(columns),
        torch.stack([column.double() for column in columns.values()], dim=1).numpy(),
    )


def _known(numbers: Tensor) -> Tensor:
    """Numbers with NaN instead of −1."""
    return numbers.double().masked_fill(numbers < 0, torch.nan)
