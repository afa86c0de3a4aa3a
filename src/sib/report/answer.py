"""A page's answer in one sentence, and the two figures behind it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sib.evaluation.groups import Group, GroupedRuns
from sib.evaluation.scores import ENERGY, shared_methods
from sib.evaluation.stored import FOREGROUNDS, headline
from sib.explain import method_title
from sib.report.differences import difference, over_even
from sib.report.tables import wide_signed


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
        sentence = _of_one(standings[0], facts, methods)
    elif known:
        sentence = _of_energy(standings, methods) + _beside_even(standings, facts, methods)
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


def _of_one(standing: Standing, facts: dict[str, Any], methods: Sequence[str]) -> str:
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
        f"{_beside_even([standing], facts, methods)}"
    )


def _beside_even(standings: list[Standing], facts: dict[str, Any], methods: Sequence[str]) -> str:
    """A sentence about groups that are not clearly better than an even map; empty if all are."""
    found = [(each, over_even(each.group, methods)) for each in standings]
    lacking = [(each, over) for each, over in found if not (over.sure and over.mean > 0)]
    if not lacking:
        return ""
    even = f"{facts['foreground_share']:.3f}"
    if len(standings) == 1:
        ((standing, over),) = lacking
        amount = "less than" if over.sure else "not clearly more than"
        return f" That is {amount} an even map has ({standing.energy:.3f} against {even}, {over})."
    if len(lacking) == len(standings):
        none = "Neither" if len(standings) == 2 else "None"
        return f" {none} is clearly better than an even map, which has {even}."
    names = [f"{each.group.name} ({each.energy:.3f}, {over})" for each, over in lacking]
    verb = "is" if len(names) == 1 else "are"
    return f" {_listed(names)} {verb} not clearly better than an even map, which has {even}."


def _listed(names: list[str]) -> str:
    """Names as the start of a sentence, with "and" before the last."""
    text = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    return f"{text[0].upper()}{text[1:]}"


def _best(standings: list[Standing]) -> Standing:
    return max(standings[1:], key=lambda standing: standing.energy or 0.0)


def _of_energy(standings: list[Standing], methods: Sequence[str]) -> str:
    reference, best = standings[0], _best(standings)
    first, second = reference.group, best.group
    energy = difference(first, second, methods)
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
    mean, own = (difference(first, second, chosen) for chosen in (methods, [method]))
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
    change = difference(reference.group, other.group)
    values = f"({other.accuracy:.3f} against {reference.accuracy:.3f}, {change})"
    measure = headline(other.group.members[0].facts)[0]
    if not change.sure:
        return f"their {measure} shows no clear difference {values}"
    more = "higher" if change.mean > 0 else "lower"
    return f"the {measure} of {other.group.name} is {more} {values}"


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
