"""Class names that are given for a classifier that does not name its own."""

import dataclasses
from pathlib import Path

from sib.data.files import read_lines
from sib.evaluation.checkpoint import Checkpoint
from sib.utils.errors import InputError


def with_classes(checkpoint: Checkpoint, path: Path | None) -> Checkpoint:
    """The checkpoint with the class names of a file, one a line in the order of its outputs.

    Args:
        checkpoint: whose own names, where it has any, must be the same.
        path: of the file; None leaves the checkpoint as it is.

    Returns:
        `Checkpoint`.

    Raises:
        InputError: the file cannot be read, names a class twice or another number of classes than
            the checkpoint has outputs, or contradicts the checkpoint's own names.
    """
    if path is None:
        return checkpoint
    names = [line for _, line in read_lines(path)]
    if len(names) != checkpoint.outputs:
        raise InputError(
            f"--classes {path} names {len(names)} classes, and {checkpoint.path} has "
            f"{checkpoint.outputs} outputs; it needs one name a line for each of them"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--classes {path} names the class {twice} twice")
    own = checkpoint.classes or names
    for index, (given, known) in enumerate(zip(names, own, strict=True)):
        if given != known:
            raise InputError(
                f"--classes {path} names class {index} {given}, but {checkpoint.path} itself calls "
                f"it {known}; leave --classes out"
            )
    return dataclasses.replace(checkpoint, classes=names)
