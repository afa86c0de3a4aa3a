"""What the page is about: evaluations, read from disk, in groups."""

from collections.abc import Sequence
from typing import NamedTuple

from sib.evaluation.groups import Group, check_same_images, group_by_seed
from sib.evaluation.stored import Evaluation


class Loaded(NamedTuple):
    """The evaluations of the runs, none of them computed here."""

    groups: list[Group]
    """Groups of runs with one configuration, in the given order."""

    @property
    def evaluations(self) -> list[Evaluation]:
        """All evaluations, group by group."""
        return [member for group in self.groups for member in group.members]

    def first(self, count: int | None) -> list[Evaluation]:
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


def load(evaluations: Sequence[Evaluation]) -> Loaded:
    """Group the evaluations.

    Args:
        evaluations: evaluations of all runs, on the same images.

    Raises:
        InputError: they have different images or options.
    """
    check_same_images(list(evaluations))
    return Loaded(group_by_seed(list(evaluations)))
