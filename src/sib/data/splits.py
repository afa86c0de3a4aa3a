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
