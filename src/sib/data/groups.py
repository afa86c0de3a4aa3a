"""Splits that keep groups whole: a patient, a camera or a video is in one split only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sib.data.match import ImageNames
from sib.data.readers.annotations.entry import shown, text
from sib.data.readers.annotations.load import load_text
from sib.data.readers.rows import columns_of, full_rows
from sib.data.sample import Label, labels_of
from sib.data.source import Source
from sib.data.splits import check_fraction
from sib.utils.errors import InputError

COLUMNS = ("image", "group")
NO_LABEL = -1
ORDERS = 10
"""Random orders of the groups to try; the split closest to the fraction is used."""


def read_groups(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The group of each image, from a CSV with the columns ``image`` and ``group``.

    Args:
        path: the CSV. Rows about images that the folder does not have are ignored.
        names: (N,) names of the images.

    Returns:
        Groups by image name.

    Raises:
        InputError: the file cannot be read, an image has no group, or two.
    """
    content = load_text(path.expanduser())
    header = columns_of(content)
    if any(header.count(column) != 1 for column in COLUMNS):
        raise InputError(
            f"groups: {path} needs the columns image and group in its first line, once each; got "
            f"{shown(', '.join(header))}"
        )
    places = [header.index(column) for column in COLUMNS]
    groups: dict[str, str] = {}
    images = ImageNames(names)
    for where, row in full_rows(content, path):
        image, group = (
            text(row[place], what, where) for place, what in zip(places, COLUMNS, strict=True)
        )
        found = images.find(image, where)
        if found is not None and groups.setdefault(names[found], group.strip()) != group.strip():
            raise InputError(f"{where}: {image} is in the group {groups[names[found]]} already")
    missing = [name for name in names if name not in groups]
    if missing:
        raise InputError(
            f"groups: {path} gives no group to {len(missing)} of {len(names)} images, the first: "
            f"{missing[0]}"
        )
    return groups


def check_groups(splits: Mapping[str, Source], groups: Mapping[str, str]) -> dict[str, int]:
    """How many groups each split has.

    Args:
        splits: sources by split.
        groups: groups by image name.

    Raises:
        InputError: a group is in two splits that the folder itself makes.
    """
    home: dict[str, str] = {}
    for split, source in splits.items():
        for name in source.names:
            other = home.setdefault(groups[name], split)
            if other != split:
                raise InputError(
                    f"groups: the group {groups[name]} is in both {other} and {split} of the "
                    f"folder, the latter with {name}; --input.test-split random divides all images "
                    "again"
                )
    return {split: list(home.values()).count(split) for split in splits}


def group_split(
    labels: Sequence[Label],
    groups: Sequence[str],
    fraction: float,
    seed: int,
    classes: Sequence[str] | None = None,
    smallest: int = 2,
) -> tuple[list[int], list[int]]:
    """Hold out whole groups, about a fraction of each class.

    With n_c images of class c, or with the label c, of which h_c are held out, the deviation is
    Σ_c ((h_c − fraction · n_c) / n_c)². Groups are visited in a random order, and one is held out
    if that lowers the deviation. Then each class without a held-out group gives the group that adds
    the least deviation. Of several orders, the one with the smallest deviation is used.

    Args:
        labels: (N,) classes of the images, or several labels each. Images without a label count as
            a class of their own if enough groups have some.
        groups: (N,) groups of the images.
        fraction: fraction to hold out, in (0, 1).
        seed: seed of the orders, at least 0.
        classes: names of the labels, for messages.
        smallest: fewest groups of a class, at least 2; at least ``smallest`` − 1 of them are kept.

    Returns:
        Indices kept and indices held out, each sorted.

    Raises:
        InputError: an argument that is not allowed, a class with too few groups, or groups that
            cannot be divided so that every class is in both parts.
    """
    check_fraction("fraction", fraction)
    names = sorted(set(groups))
    bare = {group for group, label in zip(groups, labels, strict=True) if label == ()}
    sets = [
        labels_of(label) or (NO_LABEL,) * (len(bare) >= smallest)  # they are a class of their own
        for label in labels
    ]
    present = sorted({label for own in sets for label in own})
    row, column = ({key: n for n, key in enumerate(keys)} for keys in (names, present))
    counts = np.zeros((len(names), len(present)), dtype=np.int64)
    for group, own in zip(groups, sets, strict=True):
        for label in own:
            counts[row[group], column[label]] += 1
    _check_counts(counts, names, [classes[k] if classes else str(k) for k in present], smallest)
    best: tuple[float, np.ndarray] | None = None
    for order in range(ORDERS):
        generator = np.random.default_rng((seed, order))
        held = _hold(counts, fraction, generator.permutation(len(names)), smallest - 1)
        if held is not None:
            found = _deviation(counts[held].sum(axis=0), counts.sum(axis=0), fraction)
            best = (found, held) if best is None or found < best[0] else best
    if best is None:
        raise InputError(
            f"groups: the {len(names)} groups cannot be divided so that every class is in each "
            "split; too many classes depend on the same groups"
        )
    chosen = {names[index] for index in np.flatnonzero(best[1])}
    parts: dict[bool, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        parts[group in chosen].append(index)
    return parts[False], parts[True]


def _hold(counts: np.ndarray, fraction: float, order: np.ndarray, stay: int) -> np.ndarray | None:
    """Which groups are held out, bool (G,); None if this order leads to no split."""
    total, held = counts.sum(axis=0), np.zeros(len(counts), dtype=bool)
    kept_groups = (counts > 0).sum(axis=0)

    def deviation_with(group: int) -> float:
        """Infinite if too few groups of a class would remain."""
        if ((kept_groups - (counts[group] > 0))[counts[group] > 0] < stay).any():
            return np.inf
        return _deviation(counts[held].sum(axis=0) + counts[group], total, fraction)

    def hold_out(group: int) -> None:
        held[group] = True
        kept_groups[counts[group] > 0] -= 1

    for group in order:
        if deviation_with(group) < _deviation(counts[held].sum(axis=0), total, fraction):
            hold_out(group)
    for label in range(len(total)):
        if not counts[held, label].any():
            able = [group for group in order if counts[group, label] and not held[group]]
            group = min(able, key=deviation_with)
            if not np.isfinite(deviation_with(group)):
                return None
            hold_out(group)
    return held


def _deviation(held: np.ndarray, total: np.ndarray, fraction: float) -> float:
    return float((((held - fraction * total) / total) ** 2).sum())


def _check_counts(counts: np.ndarray, groups: list[str], classes: list[str], smallest: int) -> None:
    """Raise InputError if a class has too few groups to be in every split."""
    for label, name in enumerate(classes):
        own = np.flatnonzero(counts[:, label])
        if len(own) == 1:
            raise InputError(
                f"groups: the group {groups[own[0]]} holds all {counts[own[0], label]} images of "
                f"the class {name}, so it would take the class into one split; each class needs "
                f"at least {smallest} groups"
            )
        if len(own) < smallest:
            raise InputError(
                f"groups: the class {name} is in {len(own)} groups, "
                f"{' and '.join(groups[index] for index in own)}; it needs at least {smallest}, so "
                "that each split has one"
            )
