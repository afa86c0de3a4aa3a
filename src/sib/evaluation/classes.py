"""Class names for a classifier that does not name its own classes."""

import dataclasses
from pathlib import Path

from sib.data.files import read_lines
from sib.evaluation.checkpoint import Checkpoint
from sib.utils.errors import InputError


def with_classes(checkpoint: Checkpoint, path: Path | None) -> Checkpoint:
    """The checkpoint with the class names in a file, one per line in the order of its outputs.

    Args:
        checkpoint: the classifier; its own names, if it has any, must be the same.
        path: the file of names; None leaves the checkpoint unchanged.

    Returns:
        `Checkpoint`.

    Raises:
        InputError: the file cannot be read, has a duplicate name or another number of names
            than the checkpoint has outputs, or contradicts the checkpoint's own names.
    """
    if path is None:
        return checkpoint
    names = [line for _, line in read_lines(path)]
    if len(names) != checkpoint.outputs:
        raise InputError(
            f"--classes {path} names {len(names)} classes, and {checkpoint.path} has "
            f"{checkpoint.outputs} outputs; it needs one name per line for each of them"
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
