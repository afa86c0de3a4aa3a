"""Which object is shown before which background."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.random import Generator

Kind = Literal["images", "procedural", "both"]


class Picture(NamedTuple):
    """An image to make."""

    place: int
    """Index of the object's image in its split."""
    family: int
    """The background's family: the class that it belongs to in training."""
    procedural: bool
    """Whether the background is drawn, rather than that of another image."""


def train_pictures(
    labels: Sequence[int], classes: int, strength: float, kind: Kind, generator: Generator
) -> list[Picture]:
    """One picture per object; for round(strength · n) of a class, the family is the class's own.

    The others get one of the other families, each with equal probability.

    Args:
        labels: (N,) classes of the objects.
        classes: K, at least 2; there are as many families.
        strength: in [0, 1].
        kind: kind of the backgrounds.
        generator: source of random numbers.
    """
    found = np.empty(len(labels), dtype=np.int64)
    known = np.asarray(labels)
    for label in range(classes):
        places = generator.permutation(np.flatnonzero(known == label))
        own = int(len(places) * strength + 0.5)
        found[places[:own]] = label
        others = np.delete(np.arange(classes), label)
        found[places[own:]] = generator.choice(others, len(places) - own)
    drawn = _drawn(len(labels), kind, generator)
    return [Picture(place, int(found[place]), drawn[place]) for place in range(len(labels))]


def test_pictures(
    labels: Sequence[int], classes: int, copies: int, kind: Kind, generator: Generator
) -> list[Picture]:
    """Each object before ``copies`` families, drawn independently of its class.

    Args:
        labels: (N,) classes of the objects.
        classes: K families.
        copies: 1 to K; at K, each object is shown in front of each family.
        kind: kind of the backgrounds.
        generator: source of random numbers.
    """
    found = []
    for place in range(len(labels)):
        chosen = np.sort(generator.permutation(classes)[:copies])
        drawn = _drawn(copies, kind, generator)
        found += [Picture(place, int(k), d) for k, d in zip(chosen, drawn, strict=True)]
    return found


def _drawn(count: int, kind: Kind, generator: Generator) -> list[bool]:
    """Which backgrounds are procedural; every second one for ``both``."""
    if kind != "both":
        return [kind == "procedural"] * count
    return (generator.permutation(count) % 2 == 0).tolist()
