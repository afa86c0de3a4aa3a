"""Runs that differ only in their seed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sib.data.sample import Label
from sib.evaluation.scores import Scores
from sib.evaluation.statistics import Array
from sib.evaluation.stored import Evaluation
from sib.objectives.registry import training_title
from sib.utils.errors import InputError


class Group(NamedTuple):
    """Runs of one configuration, by increasing seed."""

    name: str
    members: list[Evaluation]

    @property
    def seeds(self) -> list[int] | None:
        """The seeds; None if the members are files of weights."""
        runs = [member.run for member in self.members]
        return [run.config["seed"] for run in runs if run] if all(runs) else None

    @property
    def probabilities(self) -> list[Array] | None:
        """(S) probabilities (N, K) of all labels; None where a member has none."""
        found = [member.scores.probabilities for member in self.members]
        known = [each for each in found if each is not None]
        return known if len(known) == len(found) else None


class GroupedRuns(NamedTuple):
    """The evaluations of runs in groups of one configuration."""

    groups: list[Group]
    """In the order of their first runs."""

    @property
    def evaluations(self) -> list[Evaluation]:
        """All evaluations, group by group."""
        return [member for group in self.groups for member in group.members]

    def select(self, count: int | None) -> list[Evaluation]:
        """At most ``count`` of them: the first of each group, then the second, and so on."""
        turns = sorted(
            (place, number)
            for number, group in enumerate(self.groups)
            for place in range(len(group.members))
        )
        kept = set(turns[:count])
        return [
            member
            for number, group in enumerate(self.groups)
            for place, member in enumerate(group.members)
            if (place, number) in kept
        ]

    def labels(self, shown: Sequence[Evaluation]) -> list[str]:
        """The name of each on a page: its group's, with its seed if the group shows several."""
        of = {id(member): group for group in self.groups for member in group.members}
        groups = [of[id(item)].name for item in shown]
        return [
            f"{name}, seed {item.run.config['seed']}"
            if groups.count(name) > 1 and item.run
            else name
            for name, item in zip(groups, shown, strict=True)
        ]


def group_by_seed(stored: list[Evaluation]) -> list[Group]:
    """Groups in the order of their first run; a file of weights forms its own group."""
    groups: list[list[Evaluation]] = []
    known: list[dict[str, Any] | None] = []
    for item in stored:
        own = _configuration(item) if len(stored) > 1 else None
        if own is not None and own in known:
            groups[known.index(own)].append(item)
        else:
            groups.append([item])
            known.append(own)
    for group in groups:
        group.sort(key=lambda item: item.run.config["seed"] if item.run else 0)
    names = _names(groups)
    return [Group(name, group) for name, group in zip(names, groups, strict=True)]


def check_same_images(stored: list[Evaluation]) -> None:
    """Raise InputError unless all were evaluated on the same images in the same way."""
    first, *others = stored
    for other in others:
        _check_images(first, other)
        ours, theirs = first.facts["options"], other.facts["options"]
        for option in {**ours, **theirs}:
            if ours.get(option) != theirs.get(option):
                raise InputError(
                    f"{first.folder} and {other.folder} were evaluated differently: {option} is "
                    f"{ours.get(option)!r} and {theirs.get(option)!r}"
                )


def _check_images(first: Evaluation, other: Evaluation) -> None:
    a, b = _images(first.scores), _images(other.scores)
    if a != b:
        ours, theirs = dict(a), dict(b)
        odd = next((name for name, label in a if theirs.get(name) != label), None)
        odd = odd or next((name for name, label in b if ours.get(name) != label), a[0][0])
        raise InputError(
            f"{first.folder} ({len(a)} images) and {other.folder} ({len(b)} images) were evaluated "
            f"on different images, the first of them {odd}; only the same images can be compared"
        )
    same_size = first.facts["image_size"] == other.facts["image_size"]
    same_size &= first.facts.get("resize", "crop") == other.facts.get("resize", "crop")
    if same_size and first.facts["pixels_sha256"] != other.facts["pixels_sha256"]:
        raise InputError(
            f"{first.folder} and {other.folder} were evaluated on images of the same names and "
            "different pixels; only the same images can be compared"
        )


def _images(scores: Scores) -> list[tuple[str, Label]]:
    return list(zip(scores.names, scores.labels, strict=True))


def _configuration(stored: Evaluation) -> dict[str, Any] | None:
    if stored.run is None:
        return None
    from sib.config.stored import configuration  # loads the options of training and their checks

    return configuration(stored.run.config)


def _names(groups: list[list[Evaluation]]) -> list[str]:
    """The method if that distinguishes the groups, else the folder's name without its seed."""
    runs = [group[0].run for group in groups]
    titles = [training_title(run.config) for run in runs if run]
    if len(set(titles)) == len(groups):
        return titles
    names = [_bare(group) for group in groups]
    if len(set(names)) < len(names):  # runs/cnn/sib and runs/vit/sib
        parents = [group[0].folder.absolute().parent.name for group in groups]
        names = [f"{parent}/{name}" for parent, name in zip(parents, names, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return names


def _bare(group: list[Evaluation]) -> str:
    name = group[0].name
    if group[0].run is None:
        return name
    return name.removesuffix(f"-{group[0].run.config['seed']}") if len(group) > 1 else name
