"""A page's answer in one sentence, and the two figures behind it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sib.evaluation.groups import Group, GroupedRuns
from sib.evaluation.label_intervals import label_difference
from sib.evaluation.scores import ENERGY, energies, shared_methods
from sib.evaluation.statistics import Array, paired_difference
from sib.evaluation.stored import FOREGROUNDS, headline
from sib.explain import method_title
from sib.report.tables import wide_signed

RESAMPLES = 2000


class Difference(NamedTuple):
    """A difference of two groups with half its 95 % interval."""

    mean: float
    half: float
    sure: bool
    """Whether the interval excludes zero."""

    def __str__(self) -> str:
        return f"{wide_signed(self.mean)} ± {self.half:.3f}"


class Standing(NamedTuple):
    """Accuracy and energy of a group of runs."""

    group: Group
    accuracy: float
    """mAP of several labels an image."""
    energy: float | None
    """Mean over methods, images and seeds; None if no foreground is known."""


def answer(loaded: GroupedRuns, first_method: str | None = None) -> dict[str, Any]:
    """The sentence, the table of accuracy and energy, and what both mean.

    Args:
        loaded: the runs.
        first_method: method of the maps that the page shows first; None if it shows none.
    """
    methods = shared_methods([item.scores for item in loaded.evaluations])
    standings = [_standing(group, methods) for group in loaded.groups]
    facts = loaded.evaluations[0].facts
    known = all(standing.energy is not None for standing in standings)
    exception = ""
    if len(standings) == 1:
        sentence = _of_one(standings[0], facts)
    elif known:
        sentence = _of_energy(standings, methods)
        exception = _exception(standings, methods, first_method)
    else:
        sentence = _of_accuracy(standings)
    rows = [
        {
            "name": _named(standing.group),
            "cells": [_cell(standing.accuracy), _cell(standing.energy)],
        }
        for standing in standings
    ]
    if facts["foreground_share"] is not None:
        rows.append({"name": "an even map", "cells": [None, _cell(facts["foreground_share"])]})
    return {
        "sentence": sentence,
        "exception": exception,
        "head": ["setting", headline(facts)[0], "energy"],
        "rows": rows,
        "caption": _caption(standings, facts, len(methods)),
    }


def _standing(group: Group, methods: Sequence[str]) -> Standing:
    accuracy = float(np.mean([headline(each.facts)[1]["mean"] for each in group.members]))
    known = [
        member.facts["table"][method][ENERGY]["mean"]
        for member in group.members
        for method in methods
        if member.facts["table"][method][ENERGY]["mean"] is not None
    ]
    return Standing(group, accuracy, float(np.mean(known)) if known else None)


def _of_one(standing: Standing, facts: dict[str, Any]) -> str:
    name = standing.group.name
    right = f"{name[0].upper()}{name[1:]} "
    if "labels" in facts:
        right += f"ranks labels with a mAP of {standing.accuracy:.3f} on the "
    else:
        right += f"names the right class for {_percent(standing.accuracy)} of the "
    right += f"{facts['options']['split']} images"
    if standing.energy is None:
        return f"{right}; no foreground is known, so it is unknown where its explanations lie."
    return (
        f"{right}. On average, {_percent(standing.energy)} of an explanation lies on the object, "
        f"which covers {_percent(facts['foreground_share'])} of an image."
    )


def _best(standings: list[Standing]) -> Standing:
    return max(standings[1:], key=lambda standing: standing.energy or 0.0)


def _of_energy(standings: list[Standing], methods: Sequence[str]) -> str:
    reference, best = standings[0], _best(standings)
    first, second = reference.group, best.group
    energy = _difference(first, second, methods)
    change = f"({best.energy:.3f} against {reference.energy:.3f}, {energy})"
    among = f"Of {len(standings)} settings, " if len(standings) > 2 else ""
    if not energy.sure:
        said = (
            f"{among}explanations of {second.name} lie on the object as much as those of "
            f"{first.name}, as far as these images can tell {change}"
        )
    elif energy.mean < 0:
        said = f"{among}explanations of {first.name} lie on the object more than those of "
        said += f"{second.name} ({reference.energy:.3f} against {best.energy:.3f}, "
        said += f"{wide_signed(-energy.mean)} ± {energy.half:.3f})"
    else:
        most = "most, more" if among else "more"
        said = f"{among}explanations of {second.name} lie on the object {most} than those of "
        said += f"{first.name} {change}"
    return f"{said[0].upper()}{said[1:]}; {_accuracy_words(reference, best)}."


def _exception(standings: list[Standing], methods: Sequence[str], method: str | None) -> str:
    """A sentence for maps that are shown first and do not show what the mean says."""
    if method is None or method not in methods:
        return ""
    first, second = standings[0].group, _best(standings).group
    mean, own = (_difference(first, second, chosen) for chosen in (methods, [method]))
    if own.sure == mean.sure and (not own.sure or (own.mean > 0) == (mean.mean > 0)):
        return ""
    title = method_title(method)
    if not own.sure:
        return f"The maps shown first, {title}, show no clear difference ({own})."
    more, less = (second, first) if own.mean > 0 else (first, second)
    return (
        f"Among the maps shown first, {title}, those of {more.name} lie on the object more than "
        f"those of {less.name} ({wide_signed(abs(own.mean))} ± {own.half:.3f})."
    )


def _of_accuracy(standings: list[Standing]) -> str:
    best = max(standings[1:], key=lambda standing: standing.accuracy)
    said = _accuracy_words(standings[0], best)
    return f"{said[0].upper()}{said[1:]}; no foreground is known, so it is unknown where they look."


def _accuracy_words(reference: Standing, other: Standing) -> str:
    change = _difference(reference.group, other.group)
    values = f"({other.accuracy:.3f} against {reference.accuracy:.3f}, {change})"
    measure = headline(other.group.members[0].facts)[0]
    if not change.sure:
        return f"their {measure} shows no clear difference {values}"
    more = "higher" if change.mean > 0 else "lower"
    return f"the {measure} of {other.group.name} is {more} {values}"


def _difference(first: Group, second: Group, methods: Sequence[str] = ()) -> Difference:
    """Of the energy, a mean over methods of explanation; without any, of the accuracy."""
    paired = first.seeds is not None and first.seeds == second.seeds
    own, others = first.probabilities, second.probabilities
    if not methods and own is not None and others is not None:
        truth = first.members[0].scores.truth
        found = label_difference(own, others, truth, paired, RESAMPLES)
    else:
        values = _values(first, methods), _values(second, methods)
        found = paired_difference(*values, paired, RESAMPLES)
    low, high = float(found.low[0]), float(found.high[0])
    return Difference(float(found.mean[0]), (high - low) / 2, low > 0 or high < 0)


def _values(group: Group, methods: Sequence[str]) -> Array:
    """(S, N, 1): energies, or whether the class is right."""
    scores = [member.scores for member in group.members]
    rows = [energies(each, methods) if methods else each.correct for each in scores]
    return np.stack(rows)[..., None]


def _caption(standings: list[Standing], facts: dict[str, Any], count: int) -> str:
    measure = headline(facts)[0]
    named = "Accuracy" if measure == "accuracy" else f"{measure} (mean average precision)"
    text = f"{named} on {facts['images']} {facts['options']['split']} images."
    if standings[0].energy is not None:
        text += (
            " Energy: the share of an explanation that lies inside the annotated object, mean over "
            f"{count} method{'s' * (count > 1)} of explanation. An even map has the object's share "
            "of the area."
        )
        if facts["options"].get(FOREGROUNDS):
            text += " The object is that of the explained label; the pictures outline all objects."
    if len(standings) > 1:
        seeds = max(len(standing.group.members) for standing in standings)
        text += " ±: half a 95 % interval over images" + (" and seeds." if seeds > 1 else ".")
        if seeds == 1:
            text += " With one seed each, it says nothing about other seeds."
    return text


def _named(group: Group) -> str:
    count = len(group.members)
    return group.name if count == 1 else f"{group.name}, {count} seeds"


def _cell(value: float | None) -> dict[str, str] | None:
    return None if value is None else {"mean": f"{value:.3f}", "half": "", "kind": ""}


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
