"""The audit of a classifier over a data set."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sib.metrics.behaviour import backgrounds as change
from sib.metrics.behaviour.backgrounds import Colour, before_background
from sib.metrics.behaviour.conditions import (
    ALONE,
    CONDITIONS,
    EXCHANGED,
    OBJECT_ALONE,
    SAME_CLASS,
    Condition,
)
from sib.metrics.behaviour.decision import log_odds
from sib.metrics.behaviour.donors import Donors, Partners, Reservoir, partners_of
from sib.metrics.behaviour.fill import remove_object
from sib.metrics.behaviour.inputs import Batches, check_options, checked, usable
from sib.metrics.behaviour.models import decisions
from sib.models.mode import evaluation_mode

Table = dict[str, Tensor]
"""Columns (N,) by name, a value for each image."""


class Look(NamedTuple):
    """How backgrounds are changed; see `behaviour_of`."""

    fill: Colour
    mean: Colour
    deviation: Colour
    noise: float
    seed: int


def behaviour_of(
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
    """Whether a classifier uses the object: its decisions as the background changes.

    Every image is shown as it is, and once for each condition. Images without foreground, and
    those that are all foreground, are left out: ``scored`` is False and their values are NaN.

    Everything inside the foreground stays with the object. Boxes, and masks with a margin, keep
    some background in view, so the figures then understate how much a classifier relies on it.

    Backgrounds come from at most ``donors`` images of the set, spread evenly over its classes. Each
    image is given one donor of another class, and one of its own class if there is one. They are
    used for all ways of removing the donor's object. The draw depends on ``seed`` and on the order
    of the images, but not on the batch size.

    Args:
        model: classifier (B, C, H, W) → (B, K), K at least 2; left unchanged.
        batches: (images, labels, foreground) or (images, labels, foreground, groups): floating
            point (B, C, H, W), normalised as the model expects; (B,) whole numbers; (B, 1, H, W)
            bool or in [0, 1], zero everywhere where it is unknown; (B,) whole numbers, negative
            where unknown. Read twice, so a list or a loader, not a generator.
        conditions: names from `CONDITIONS`.
        fill: colour around the object when it is shown alone, in the units of the images; 0 is the
            mean colour of normalised images.
        mean: mean of the normalisation, for the background without colour.
        deviation: standard deviation of the normalisation.
        noise: standard deviation of the background's noise, relative to the image's own.
        donors: largest number of images that lend their background, at least 2; they are kept in
            memory.
        seed: of donors and noise.
        rank: rank of this process among those that share the images.
        ranks: number of these processes. Each is given all batches and shows the model batch
            ``rank`` and every ``ranks``-th after it; the table has the images of these alone, and
            their values do not depend on ``ranks``.

    Returns:
        Columns (N,), in the order of the images: ``label``, ``predicted``, ``correct``,
        ``log_odds`` (of the decision), ``foreground_share``, ``scored``, ``donor`` and
        ``same_class_donor`` (places in the set, −1 for none), ``group`` where given; and
        ``NAME/correct``, ``NAME/changed``, ``NAME/log_odds_change``, ``NAME/predicted`` for each
        condition, NaN (−1 for ``predicted``) for an image without a value.

    Raises:
        ValueError: an argument is not allowed; no image can be used; an exchange is asked for and
            all images are of one class; the logits are not finite.

    Source: Xiao et al. 2020, Noise or signal: the role of image backgrounds in object recognition
        (arXiv 2006.09994), ImageNet-9.

    Example:
        >>> import torch
        >>> from sib.metrics.behaviour import behaviour_of, summarise
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
        >>> foreground = torch.zeros(6, 1, 4, 4).bool()
        >>> foreground[:, :, 1:3, 1:3] = True
        >>> batch = torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 0, 1, 0, 1]), foreground
        >>> table = behaviour_of(model, [batch], ["exchanged_diffusion", "object_alone"])
        >>> summarise(table)["conditions"]["object_alone"]["images"]
        6
    """
    check_options(batches, conditions, noise, donors, seed)
    chosen = {name: CONDITIONS[name] for name in conditions}
    look = Look(fill, mean, deviation, noise, seed)
    lenders = _collect(batches, chosen, donors, seed)
    draws = np.random.default_rng([seed, 1])
    rows: list[Table] = []
    start = 0
    with evaluation_mode(model), torch.no_grad():
        for number, (images, labels, foreground, groups) in enumerate(checked(batches)):
            partners = partners_of(lenders, labels, start, draws)
            start += len(images)
            if number % ranks != rank:
                continue
            table = _audit_batch(model, images, labels, foreground, chosen, look, partners)
            rows.append(table if groups is None else {**table, "group": groups})
    return joined(rows)


def joined(tables: Sequence[Table]) -> Table:
    """The table of all batches; empty for a process that had none.

    Raises:
        ValueError: some batches have groups, and others have none.
    """
    if not tables:
        return {}
    names = set(tables[0])
    if any(set(table) != names for table in tables):
        raise ValueError("batches must all have groups, or none of them")
    return {name: torch.cat([table[name] for table in tables]) for name in tables[0]}


def _collect(batches: Batches, chosen: dict[str, Condition], size: int, seed: int) -> Donors | None:
    """The donors, from a first pass; None if no condition needs one."""
    lent = [one for one in chosen.values() if one.kind in (EXCHANGED, SAME_CLASS)]
    reservoir, found = Reservoir(size, seed), 0
    for images, labels, foreground, _ in checked(batches):
        useful = usable(foreground)
        found += int(useful.sum())
        if lent:
            reservoir.add(images.cpu(), labels, foreground.cpu(), useful.cpu())
        reservoir.seen += 0 if lent else len(images)
    if not found:
        raise ValueError(
            f"none of {reservoir.seen} images has a foreground with background around it, which "
            "every condition needs"
        )
    if not lent:
        return None
    donors = reservoir.donors(list(dict.fromkeys(one.fill for one in lent)))
    classes = set(donors.labels.tolist())
    if len(classes) < 2 and any(one.kind == EXCHANGED for one in lent):
        raise ValueError(
            "backgrounds can be exchanged between classes only where images of at least two have "
            f"a foreground; all {found} are of class {classes.pop()}"
        )
    return donors


def _audit_batch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    foreground: Tensor,
    chosen: dict[str, Condition],
    look: Look,
    partners: Partners,
) -> Table:
    logits = decisions(model, images)
    predicted = logits.argmax(dim=1)
    before, scored = log_odds(logits, predicted), usable(foreground).cpu()
    inside = foreground.flatten(1).to(images.dtype).mean(dim=1).cpu()
    table: Table = {
        "label": labels,
        "predicted": predicted,
        "correct": (predicted == labels).double(),
        "log_odds": before,
        "foreground_share": inside.double(),
        "scored": scored,
        "donor": torch.where(scored, partners.indices(EXCHANGED), -1),
        "same_class_donor": torch.where(scored, partners.indices(SAME_CLASS), -1),
    }
    for name, condition in chosen.items():
        changed = changed_images(
            images[scored], foreground[scored], condition, look, partners, scored
        )
        table |= {
            f"{name}/{key}": values
            for key, values in _effects(model, changed, scored, labels, predicted, before).items()
        }
    return table


def changed_images(
    images: Tensor,
    foreground: Tensor,
    condition: Condition,
    look: Look,
    partners: Partners,
    scored: Tensor,
) -> Tensor:
    """The scored images under a condition, NaN where it is not possible.

    Args:
        images: (S, C, H, W), the scored ones of N.
        foreground: (S, 1, H, W).
        condition: what changes.
        look: how.
        partners: of all N.
        scored: (N,), which are scored.
    """
    if not len(images):
        return images
    kind = condition.kind
    if kind == ALONE:
        return remove_object(images, foreground, condition.fill)
    if kind == "blurred":
        return change.blur_background(images, foreground)
    if kind == "greyed":
        return change.grey_background(images, foreground, mean=look.mean, deviation=look.deviation)
    if kind == "noised":
        return change.noise_background(images, foreground, amount=look.noise, seed=look.seed)
    if kind == OBJECT_ALONE:
        return change.keep_object(images, foreground, fill=look.fill)
    assert partners.donors is not None
    rows = partners.rows[kind][scored]
    lent = partners.donors.backgrounds[condition.fill][rows]
    lent = lent.masked_fill((rows < 0)[:, None, None, None], torch.nan)
    return before_background(images, foreground, lent.to(images))


def _effects(
    model: nn.Module,
    changed: Tensor,
    scored: Tensor,
    labels: Tensor,
    predicted: Tensor,
    before: Tensor,
) -> Table:
    """The effects of the change, (B,) each."""
    possible = ~changed.flatten(1).isnan().any(dim=1)
    rows = scored.nonzero().squeeze(1)[possible.cpu()]
    empty = torch.full((len(labels),), torch.nan, dtype=torch.float64)
    found = {name: empty.clone() for name in ("correct", "changed", "log_odds_change")}
    after = torch.full((len(labels),), -1)
    if len(rows):
        logits = decisions(model, changed[possible])
        now = logits.argmax(dim=1)
        after[rows] = now
        found["correct"][rows] = (now == labels[rows]).double()
        found["changed"][rows] = (now != predicted[rows]).double()
        found["log_odds_change"][rows] = log_odds(logits, predicted[rows]) - before[rows]
    return {**found, "predicted": after}
