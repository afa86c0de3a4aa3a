"""By how much, and how surely, audits differ on the same images."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from sib.evaluation.audit.figures import NAMES, SMALLEST, classes_of, groups_of, images_of
from sib.evaluation.audit.words import words_of
from sib.evaluation.groups import Group, check_same_images, group_by_seed
from sib.evaluation.scores import stack
from sib.evaluation.statistics import LEVEL, Array, Indices, paired_difference, sums_by_image
from sib.evaluation.stored import Evaluation

Entry = dict[str, Any]


def differences(audits: list[Evaluation], resamples: int = 2000) -> dict[str, Any] | None:
    """Differences between the first group of runs and every other, by condition.

    Returns:
        ``reference`` and ``groups``; None if there is only one group.

    Raises:
        InputError: the audits have different images or options.
    """
    check_same_images(audits)
    reference, *others = group_by_seed(audits)
    if not others:
        return None
    kind = audits[0].facts.get("label_kind")
    return {
        **({"label_kind": kind} if kind else {}),
        "reference": _described(reference),
        "images": len(audits[0].scores.names),
        "resamples": resamples,
        "groups": [
            _described(group) | _differences(reference, group, resamples) for group in others
        ],
    }


def _described(group: Group) -> dict[str, Any]:
    runs = [str(member.folder) for member in group.members]
    return {"name": group.name, "runs": runs, "seeds": group.seeds}


def _differences(reference: Group, group: Group, resamples: int) -> dict[str, Any]:
    members = [*reference.members, *group.members]
    columns = [
        pair
        for pair in reference.members[0].scores.columns
        if pair[1] in NAMES and all(pair in member.scores.columns for member in members)
    ]
    first = stack([member.scores for member in reference.members], columns)
    second = stack([member.scores for member in group.members], columns)
    paired = reference.seeds is not None and reference.seeds == group.seeds
    audited = reference.members[0]
    images, words = images_of(audited.scores), words_of(audited.facts)
    found = paired_difference(first, second, paired, resamples, rows=images)
    conditions: dict[str, Entry] = {}
    for index, (condition, value) in enumerate(columns):
        row = conditions.setdefault(condition, {"title": words.title(condition)})
        row[NAMES[value]] = _entry(*(float(part[index]) for part in found))
        if value == "correct":
            for name, parts in _parts(audited):
                row[name] = worst_difference(
                    first[..., index], second[..., index], parts, paired, resamples, images=images
                )
    return {"paired_seeds": paired, "conditions": conditions}


def _parts(audit: Evaluation) -> Iterator[tuple[str, Array]]:
    yield "worst_class", classes_of(audit.scores).astype(float)
    groups = groups_of(audit.scores)
    if groups is not None:
        yield "worst_group", groups


def _entry(mean: float, low: float, high: float, p: float, images: float) -> Entry:
    if not images:
        return {"mean": None, "low": None, "high": None, "p": None, "images": 0}
    known = images >= SMALLEST
    low_high = {"low": low, "high": high, "p": p} if known else dict.fromkeys(("low", "high", "p"))
    return {"mean": mean, **low_high, "images": int(images)}


def worst_difference(
    first: Array,
    second: Array,
    parts: Array,
    paired_seeds: bool,
    resamples: int,
    seed: int = 0,
    images: Indices | None = None,
) -> Entry:
    """Difference in the accuracy of the worst class or group, with its interval.

    Δ = mean_t min_g a_tg − mean_s min_g a_sg, where a is a run's accuracy on the images of group g.
    Each replicate draws images with replacement within each group, the same for all runs. It also
    draws seeds within each group of runs, the same ones for both if they are paired.

    Args:
        first: (S, N) of 1, 0 or NaN, the runs to subtract.
        second: (T, N).
        parts: (N,) indices of the classes or groups, negative if unknown.
        paired_seeds: whether run k has the same seed in both; needs S = T.
        resamples: bootstrap replicates.
        seed: seed of the resampling.
        images: (N,), as in `mean_interval`: the rows of an image in a group are drawn together.

    Returns:
        ``mean``, ``low``, ``high`` and ``images``.
    """
    known = np.isfinite(first).all(axis=0) & np.isfinite(second).all(axis=0) & (parts >= 0)
    if not known.any():
        return _entry(0, 0, 0, 0, 0)
    rows = [np.flatnonzero(known & (parts == part)) for part in np.unique(parts[known])]
    own = [None if images is None else images[row] for row in rows]
    counts = [sums_by_image(np.ones(len(row)), each) for row, each in zip(rows, own, strict=True)]
    of_first, of_second = (
        [sums_by_image(runs[:, row].T, each).T for row, each in zip(rows, own, strict=True)]
        for runs in (first, second)
    )
    generator = np.random.default_rng(seed)
    everything = [np.arange(len(count)) for count in counts]
    lowest_first = _lowest(of_first, counts, everything)
    lowest_second = _lowest(of_second, counts, everything)
    drawn = []
    for _ in range(resamples):
        chosen = [generator.choice(places, len(places)) for places in everything]
        own_first = generator.integers(len(first), size=len(first))
        own_second = (
            own_first if paired_seeds else generator.integers(len(second), size=len(second))
        )
        drawn.append(
            _lowest(of_second, counts, chosen)[own_second].mean()
            - _lowest(of_first, counts, chosen)[own_first].mean()
        )
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    found = _entry(
        float(lowest_second.mean() - lowest_first.mean()), float(low), float(high), 0, known.sum()
    )
    return {name: value for name, value in found.items() if name != "p"}


def _lowest(sums: list[Array], counts: list[Array], chosen: list[np.ndarray]) -> Array:
    """(S,) lowest accuracy of each run over the groups, from sums (S, M) of their images."""
    return np.min(
        [
            own[:, places].sum(axis=1) / count[places].sum()
            for own, count, places in zip(sums, counts, chosen, strict=True)
        ],
        axis=0,
    )
