"""Groups of images, for the accuracy of the worst group."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sib.data import Splits
from sib.data.groups import read_groups
from sib.utils.errors import InputError

FILE = "groups.csv"
"""Name of the file of groups in a folder of images."""


def find_groups(
    given: Path | None, splits: Splits, names: Sequence[str], console: Console
) -> tuple[list[str], dict[str, int]] | None:
    """The group of each image, from the given file or ``groups.csv`` beside the images.

    Args:
        given: CSV with the columns ``image`` and ``group``; None for the one beside the images.
        splits: all of the data's images, which the file must cover.
        names: (N,) names of the audited images.
        console: reports why a file beside the images is not used.

    Returns:
        Names of the groups in alphabetical order, and the index of each image's group; None if
        there is no file.

    Raises:
        InputError: the given file cannot be read, or lacks an image.
    """
    path = given or (splits.folder / FILE if splits.folder else None)
    if path is None or not (given or path.is_file()):
        return None
    try:
        # all splits, since two of them may have paths with the same end
        every = [*splits.train.names, *splits.validation.names, *splits.test.names]
        found = read_groups(path, every)
    except InputError as error:
        if given is not None:
            raise
        console.print(f"no groups: {error}", highlight=False, markup=False, soft_wrap=True)
        return None
    groups = sorted({found[name] for name in names})
    return groups, {name: groups.index(found[name]) for name in names}
