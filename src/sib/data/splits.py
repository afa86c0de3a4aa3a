"""Reproducible splits that keep the share of every class."""

from collections.abc import Sequence

import numpy as np

from sib.utils.errors import InputError


def stratified_split(
    labels: Sequence[int],
    fraction: float,
    seed: int,
    classes: Sequence[str] | None = None,
    smallest: int = 2,
) -> tuple[list[int], list[int]]:
    """Hold out a fraction of each class at random.

    A class of n images gives round(n · fraction), at least 1, and keeps at least ``smallest`` − 1.
    The choice depends only on the seed, the label and n, so other classes do not affect it.

    Args:
        labels: (N,) classes of the images.
        fraction: fraction to hold out, in (0, 1).
        seed: seed of the choice, at least 0.
        classes: names of the labels, for messages.
        smallest: fewest images of a class, at least 2.

    Returns:
        Indices kept and indices held out, each sorted.

    Raises:
        InputError: an argument is not allowed, or a class has fewer than ``smallest`` images.
    """
    check_fraction("fraction", fraction)
    if seed < 0:
        raise InputError(f"split_seed must be at least 0; got {seed}")
    held: list[int] = []
    known = np.asarray(labels)
    for label in sorted(set(labels)):
        indices = np.flatnonzero(known == label)
        _check_count(len(indices), smallest, classes[label] if classes else str(label))
        most = len(indices) - smallest + 1
        count = min(max(int(len(indices) * fraction + 0.5), 1), most)
        order = np.random.default_rng((seed, label)).permutation(indices)
        held += order[:count].tolist()
    return sorted(set(range(len(labels))) - set(held)), sorted(held)


def multi_label_split(
    labels: Sequence[tuple[int, ...]], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Hold out a fraction of the images so that each label keeps its share, nearly.

    Iterative stratification: the label with the fewest images left is served first. Each of its
    images goes to the part that still lacks most of that label, then most images at all. A label
    keeps at least one image.

    Args:
        labels: (N,) the labels of each image; an image may have none.
        fraction: to hold out, in (0, 1).
        seed: of the order of the images, at least 0.

    Returns:
        Indices kept and indices held out, each sorted.

    Raises:
        InputError: an argument that is not allowed.

    Source: Sechidis, Tsoumakas and Vlahavas 2011, On the stratification of multi-label data.
    """
    check_fraction("fraction", fraction)
    if seed < 0:
        raise InputError(f"split_seed must be at least 0; got {seed}")
    number = max((label for own in labels for label in own), default=-1) + 1
    # images without a label are stratified as if they shared one
    own = [list(each) or [number] for each in labels]
    table = np.zeros((len(labels), number + 1), dtype=bool)
    for row, each in enumerate(own):
        table[row, each] = True
    parts = np.array([1 - fraction, fraction])
    lacking = parts[:, None] * table.sum(axis=0)
    room = parts * len(labels)
    place, kept = np.full(len(labels), -1), np.zeros(number + 1, dtype=bool)
    order = np.random.default_rng(seed).permutation(len(labels))
    while (place < 0).any():
        left = table[place < 0].sum(axis=0)
        label = int(np.where(left > 0, left, len(labels) + 1).argmin())
        for row in order[table[order, label] & (place[order] < 0)]:
            wanted = (lacking[1, label], room[1]) > (lacking[0, label], room[0])
            part = int(wanted and kept[own[row]].all())
            place[row] = part
            kept[own[row]] |= part == 0
            lacking[part, own[row]] -= 1
            room[part] -= 1
    return np.flatnonzero(place == 0).tolist(), np.flatnonzero(place == 1).tolist()


def check_fraction(name: str, fraction: float) -> None:
    """Raise InputError unless a fraction lies strictly between 0 and 1."""
    if not 0 < fraction < 1:
        raise InputError(f"{name} must lie between 0 and 1, both excluded; got {fraction}")


def _check_count(count: int, smallest: int, name: str) -> None:
    if count < smallest:
        raise InputError(
            f"class {name} has {count} image{'s' * (count > 1)} to split; each class needs at "
            f"least {smallest}"
        )
