"""The audit of a classifier with several labels an image."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sib.functional import checks
from sib.metrics.behaviour.audit import Look, Table, changed_images, joined
from sib.metrics.behaviour.backgrounds import Colour
from sib.metrics.behaviour.conditions import (
    ALONE,
    CONDITIONS,
    EXCHANGED,
    OBJECT_ALONE,
    SAME_CLASS,
    Condition,
)
from sib.metrics.behaviour.donors import Donors, Partners, Reservoir
from sib.metrics.behaviour.inputs import Batches, check_options, usable
from sib.metrics.behaviour.label_pairs import Pairs, checked_pairs
from sib.metrics.behaviour.models import finite_logits
from sib.models.mode import evaluation_mode


def label_behaviour_of(
    model: nn.Module,
    batches: Batches,
    conditions: Sequence[str] = tuple(CONDITIONS),
    *,
    fill: Colour = 0.0,
    mean: Colour = 0.0,
    deviation: Colour = 1.0,
    noise: float = 1.0,
    donors: int = 100,
    seed: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Table:
    """Whether each label is decided for by its own objects, as the rest of the image changes.

    What is audited are pairs of an image x and a label k that it has. The decision about k is
    d_k(x) = [z_k > 0], which is σ(z_k) > 0.5, and its log-odds are log p_k / (1 − p_k) = z_k. Let U
    be the foreground of all objects of x, and F_k that of the objects of k. Then x̃ is

    - ``exchanged``: U x + (1 − U) β. All objects are kept. β is an image without the label k, from
      which all objects were removed;
    - ``same_class``: the same, where β is another image with the label k;
    - ``blurred``, ``greyed``, ``noised``: as for one class an image, with the foreground U;
    - ``object_alone``: F_k x + (1 − F_k) c, with the uniform colour c. The objects of other labels
      are not shown either;
    - ``background_alone``: x without F_k. The objects of other labels stay, so this is all that
      could give k away besides its own objects.

    The values of a pair under a condition are

    - ``correct``: d_k(x̃). Its mean is the recall of the labels;
    - ``changed``: [d_k(x̃) ≠ d_k(x)];
    - ``log_odds_change``: s (z_k(x̃) − z_k(x)), with s = 1 if d_k(x) and −1 otherwise;
    - ``added``: 1 if any label that x does not have is decided for in x̃ and not in x. A recall
      cannot see that a background adds labels.

    A pair is left out (``scored`` is False and its values are NaN) if U is empty or is the whole
    image, or if objects of other labels are known and none of k. If F_k is unknown for all labels
    of an image, U counts as the foreground of all of them together: ``object_alone`` and
    ``background_alone`` have no value then, unless the image has a single label, and F_k = U.

    Donors lend their background if the objects of all of their labels are known. They are spread
    evenly over the sets of labels, and drawn for each pair.

    The cost is that of `behaviour_of` with as many images as there are pairs.

    Args:
        model: classifier (B, C, H, W) → (B, K) with the kind "multi" of
            `label_kinds.set_label_kind`; left unchanged.
        batches: (images, labels, foreground, own) or (images, labels, foreground, own, groups):
            images, foreground U and groups as in `behaviour_of`; labels (B, K) of 0 and 1; own
            (P, 1, H, W), like the foreground, F_k of each label of each image, in the order of
            ``labels.nonzero()``, zero everywhere where it is unknown.
        conditions: as in `behaviour_of`, like all further arguments.
        fill: colour around the object when it is shown alone.
        mean: mean of the normalisation.
        deviation: standard deviation of the normalisation.
        noise: standard deviation of the background's noise, relative to the image's own.
        donors: largest number of images that lend their background.
        seed: of donors and noise.
        rank: rank of this process.
        ranks: number of processes.

    Returns:
        Columns (N,) by name, N pairs in the order of the images: ``image`` (its place in the set),
        ``label`` (k; −1 for an image without a label, which has one row), ``correct``,
        ``log_odds`` (of the decision, |z_k|), ``foreground_share`` (of U), ``scored``, ``donor``,
        ``same_class_donor``, ``group`` where given; ``present`` and ``decided``, bool (N, K), the
        labels of the image and those decided for; and ``NAME/correct``, ``NAME/changed``,
        ``NAME/log_odds_change``, ``NAME/added`` for each condition.

    Raises:
        ValueError: an argument is not allowed; no pair can be used; an exchange is asked for and no
            image without the label of any pair can lend its background; the logits are not finite.

    Source: own, after Xiao et al. 2020 (arXiv 2006.09994) for one class an image.

    Example:
        >>> import torch
        >>> from sib.functional.label_kinds import set_label_kind
        >>> from sib.metrics.behaviour import label_behaviour_of, summarise
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
        >>> labels = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        >>> own = torch.zeros(4, 1, 4, 4).bool()
        >>> own[0, :, 0, 0] = own[2, :, 0, 0] = own[1, :, 1, 1] = own[3, :, 1, 1] = True
        >>> union = torch.stack([own[0] | own[1], own[2], own[3]])
        >>> batch = torch.randn(3, 3, 4, 4), labels, union, own
        >>> table = label_behaviour_of(set_label_kind(model, "multi"), [batch], ["object_alone"])
        >>> summarise(table)["conditions"]["object_alone"]["images"]
        4
    """
    check_options(batches, conditions, noise, donors, seed)
    chosen = {name: CONDITIONS[name] for name in conditions}
    look = Look(fill, mean, deviation, noise, seed)
    lenders = _collect(batches, chosen, donors, seed)
    draws = np.random.default_rng([seed, 1])
    rows: list[Table] = []
    start = 0
    with evaluation_mode(model), torch.no_grad():
        for number, (images, labels, pairs, groups) in enumerate(checked_pairs(batches)):
            partners = _partners_of(lenders, pairs, start, draws)
            if number % ranks == rank:
                table = _audit_batch(model, images, labels, pairs, chosen, look, partners)
                table["image"] = pairs.images + start
                rows.append(table if groups is None else {**table, "group": groups[pairs.images]})
            start += len(images)
    return joined(rows)


def _collect(batches: Batches, chosen: dict[str, Condition], size: int, seed: int) -> Donors | None:
    """The donors, from a first pass; None if no condition needs one."""
    lent = [one for one in chosen.values() if one.kind in (EXCHANGED, SAME_CLASS)]
    reservoir, found = Reservoir(size, seed), 0
    for images, labels, pairs, _ in checked_pairs(batches):
        found += int(pairs.scored.sum())
        known = torch.ones(len(images)).scatter_reduce(
            0, pairs.images, pairs.scored.float(), "amin"
        )
        union = torch.zeros(len(images), 1, *images.shape[2:], dtype=pairs.union.dtype)
        union[pairs.images] = pairs.union.cpu()
        if lent:
            reservoir.add(images.cpu(), labels, union, known.bool())
        reservoir.seen += 0 if lent else len(images)
    if not found:
        raise ValueError(
            f"none of {reservoir.seen} images has a label whose objects are known and have a "
            "background around them, which every condition needs"
        )
    if not lent:
        return None
    if not reservoir.kept:
        raise ValueError("no image can lend its background: none has known objects of all labels")
    donors = reservoir.donors(list(dict.fromkeys(one.fill for one in lent)))
    if donors.labels.all() and any(one.kind == EXCHANGED for one in lent):
        raise ValueError(
            "backgrounds can be exchanged only where some image lacks a label; all images that "
            "lend theirs have every label"
        )
    return donors


def _partners_of(
    donors: Donors | None, pairs: Pairs, start: int, draws: np.random.Generator
) -> Partners:
    """Draw the partners of each pair; ``start`` is the place of the batch's first image."""
    found: dict[str, list[int]] = {EXCHANGED: [], SAME_CLASS: []}
    for place, label in zip(pairs.images.tolist(), pairs.labels.tolist(), strict=True):
        other, same = draws.random(2)
        known = donors is not None and label >= 0
        found[EXCHANGED].append(donors.without_label(label, other) if known and donors else -1)
        found[SAME_CLASS].append(
            donors.with_label(label, start + place, same) if known and donors else -1
        )
    return Partners(donors, {kind: torch.tensor(rows) for kind, rows in found.items()})


def _audit_batch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    pairs: Pairs,
    chosen: dict[str, Condition],
    look: Look,
    partners: Partners,
) -> Table:
    logits = finite_logits(model, images)
    if logits.shape != labels.shape:
        raise ValueError(
            f"model must give a logit for each label, {checks.shape(labels)}; got "
            f"{checks.shape(logits)}"
        )
    before, present = logits[pairs.images], labels[pairs.images]
    own = _of_label(before, pairs.labels)
    has_label = pairs.labels >= 0
    table: Table = {
        "label": pairs.labels,
        "correct": _known(own > 0, has_label),
        "log_odds": _known(own.abs(), has_label),
        "foreground_share": pairs.union.flatten(1).double().mean(dim=1).cpu(),
        "scored": pairs.scored,
        "donor": torch.where(pairs.scored, partners.indices(EXCHANGED), -1),
        "same_class_donor": torch.where(pairs.scored, partners.indices(SAME_CLASS), -1),
        "present": present,
        "decided": before > 0,
    }
    scored = pairs.scored
    shown = images[pairs.images[scored].to(images.device)]
    for name, condition in chosen.items():
        of_label = condition.kind in (OBJECT_ALONE, ALONE)
        foreground = (pairs.own if of_label else pairs.union)[scored.to(pairs.own.device)]
        changed = changed_images(shown, foreground, condition, look, partners, scored)
        possible = usable(foreground) & ~changed.flatten(1).isnan().any(dim=1)
        rows = scored.nonzero().squeeze(1)[possible.cpu()]
        after = finite_logits(model, changed[possible]) if len(rows) else logits[:0]
        effects = _effects(before[rows], after, pairs.labels[rows], present[rows])
        for key, values in effects.items():
            column = torch.full((len(scored),), torch.nan, dtype=torch.float64)
            column[rows] = values.double()
            table[f"{name}/{key}"] = column
    return table


def _effects(before: Tensor, after: Tensor, labels: Tensor, present: Tensor) -> Table:
    """The values of pairs, (P,) each, from their logits (P, K)."""
    first, now = _of_label(before, labels), _of_label(after, labels)
    return {
        "correct": now > 0,
        "changed": (now > 0) != (first > 0),
        "log_odds_change": torch.where(first > 0, now - first, first - now),
        "added": ((after > 0) & ~(before > 0) & ~present).any(dim=1),
    }


def _of_label(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of each pair's label; the first one's where it has none."""
    return logits.gather(1, labels.clamp_min(0)[:, None]).squeeze(1)


def _known(values: Tensor, known: Tensor) -> Tensor:
    return values.double().masked_fill(~known, torch.nan)
