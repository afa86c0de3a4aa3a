"""A page's answer in one sentence, and the two figures behind it."""

from typing import Any, NamedTuple

import numpy as np

from sib.evaluation.groups import Group, GroupedRuns
from sib.evaluation.label_intervals import label_difference
from sib.evaluation.statistics import Array, paired_difference
from sib.evaluation.stored import headline
from sib.report.gallery import ENERGY, energies
from sib.report.tables import signed

RESAMPLES = 2000


class Difference(NamedTuple):
    """A difference of two groups with half its 95 % interval."""

    mean: float
    half: float
    sure: bool
    """Whether the interval excludes zero."""

    def __str__(self) -> str:
        return f"{signed(self.mean)} ± {self.half:.3f}"


class Standing(NamedTuple):
    """Accuracy and energy of a group of runs."""

    group: Group
    accuracy: float
    """mAP of several labels an image."""
    energy: float | None
    """Mean over methods, images and seeds; None if no foreground is known."""


def answer(loaded: GroupedRuns) -> dict[str, Any]:
    """The sentence, the table of accuracy and energy, and what both mean."""
    standings = [_standing(group) for group in loaded.groups]
    facts = loaded.evaluations[0].facts
    known = all(standing.energy is not None for standing in standings)
    if len(standings) == 1:
        sentence = _of_one(standings[0], facts)
    elif known:
        sentence = _of_energy(standings)
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
        "head": ["setting", headline(facts)[0], "energy"],
        "rows": rows,
        "caption": _caption(standings, facts),
    }


def _standing(group: Group) -> Standing:
    accuracy = float(np.mean([headline(each.facts)[1]["mean"] for each in group.members]))
    known = [
        row[ENERGY]["mean"]
        for member in group.members
        for row in member.facts["table"].values()
        if row.get(ENERGY, {}).get("mean") is not None
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


def _of_energy(standings: list[Standing]) -> str:
    reference = standings[0]
    best = max(standings[1:], key=lambda standing: standing.energy or 0.0)
    first, second = reference.group, best.group
    energy = _difference(first, second, energy=True)
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
        said += f"{signed(-energy.mean)} ± {energy.half:.3f})"
    else:
        most = "most, more" if among else "more"
        said = f"{among}explanations of {second.name} lie on the object {most} than those of "
        said += f"{first.name} {change}"
    return f"{said[0].upper()}{said[1:]}; {_accuracy_words(reference, best)}."


def _of_accuracy(standings: list[Standing]) -> str:
    best = max(standings[1:], key=lambda standing: standing.accuracy)
    said = _accuracy_words(standings[0], best)
    return f"{said[0].upper()}{said[1:]}; no foreground is known, so it is unknown where they look."


def _accuracy_words(reference: Standing, other: Standing) -> str:
    change = _difference(reference.group, other.group, energy=False)
    values = f"({other.accuracy:.3f} against {reference.accuracy:.3f}, {change})"
    measure = headline(other.group.members[0].facts)[0]
    if not change.sure:
        return f"their {measure} shows no clear difference {values}"
    more = "higher" if change.mean > 0 else "lower"
    return f"the {measure} of {other.group.name} is {more} {values}"


def _difference(first: Group, second: Group, *, energy: bool) -> Difference:
    paired = first.seeds is not None and first.seeds == second.seeds
    own, others = first.probabilities, second.probabilities
    if not energy and own is not None and others is not None:
        truth = first.members[0].scores.truth
        found = label_difference(own, others, truth, paired, RESAMPLES)
    else:
        values = _values(first, energy), _values(second, energy)
        found = paired_difference(*values, paired, RESAMPLES)
    low, high = float(found.low[0]), float(found.high[0])
    return Difference(float(found.mean[0]), (high - low) / 2, low > 0 or high < 0)


def _values(group: Group, energy: bool) -> Array:
    """(S, N, 1): energies, or whether the class is right."""
    rows = [energies(item.scores) if energy else item.scores.correct for item in group.members]
    return np.stack(rows)[..., None]


def _caption(standings: list[Standing], facts: dict[str, Any]) -> str:
    measure = headline(facts)[0]
    named = "Accuracy" if measure == "accuracy" else f"{measure} (mean average precision)"
    text = f"{named} on {facts['images']} {facts['options']['split']} images."
    if standings[0].energy is not None:
        count = sum(ENERGY in row for row in facts["table"].values())
        text += (
            " Energy: the share of an explanation that lies inside the annotated object, mean over "
            f"{count} method{'s' * (count > 1)} of explanation. An even map has the object's share "
            "of the area."
        )
        if facts["options"].get("foregrounds"):
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
