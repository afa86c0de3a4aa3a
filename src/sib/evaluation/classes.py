"""Class names for a classifier that does not name its own classes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from sib.data.files import read_lines
from sib.evaluation.checkpoint import Checkpoint
from sib.utils.errors import InputError

SHOWN = 5
"""Most classes that a sentence names."""


def with_classes(checkpoint: Checkpoint, path: Path | None) -> Checkpoint:
    """The checkpoint with the class names in a file, in the order of its outputs.

    The file is text with a name per line, or JSON: a list of names, or an object that gives each
    number its name or each name its number, also as ``id2label`` in the config.json of a Hugging
    Face model.

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
    names = names_in(path)
    if len(names) != checkpoint.outputs:
        raise InputError(
            f"--classes {path} names {len(names)} classes, and {checkpoint.path} has "
            f"{checkpoint.outputs} outputs; it needs a name for each of them, one per line or in "
            "JSON"
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


def unnamed_note(checkpoint: Checkpoint) -> str:
    """A sentence for a classifier whose classes have no names; empty if they have."""
    if checkpoint.classes is not None:
        return ""
    return f"{checkpoint.path} does not name its classes: they are numbered; give --classes FILE"


def order_note(checkpoint: Checkpoint, classes: list[str]) -> str:
    """A sentence for a classifier that is taken to have the data's classes; else empty.

    Args:
        checkpoint: the classifier.
        classes: (K,) the data's, in their order.
    """
    if checkpoint.classes is not None:
        return ""
    rest = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    return (
        "classes: the outputs are taken to be the data's classes in their order, "
        f"{', '.join(classes[:SHOWN])}{rest}; --classes FILE checks it"
    )


def names_in(path: Path) -> list[str]:
    """The names in a file of class names, see `with_classes`.

    Raises:
        InputError: it is missing, or neither text with a name per line nor such JSON.
    """
    lines = [line for _, line in read_lines(path)]
    ends = (lines[0].lstrip()[:1], lines[-1].rstrip()[-1:]) if lines else ("", "")
    if path.suffix.lower() != ".json" and ends not in (("{", "}"), ("[", "]")):
        return lines
    try:
        return _ordered(json.loads("\n".join(lines)))
    except (ValueError, RecursionError):
        raise InputError(
            f"--classes {path} must be JSON with a list of names, or with an object that gives the "
            "numbers from 0 on their names, or text with a name per line"
        ) from None


def _ordered(content: Any) -> list[str]:
    """The names by number.

    Raises:
        ValueError: they are not names, or the numbers are not 0, 1, 2, …
    """
    if isinstance(content, dict):
        content = content.get("id2label", content)  # config.json of Hugging Face
    if isinstance(content, dict):
        if all(type(value) is int for value in content.values()):
            content = {str(number): name for name, number in content.items()}
        keys = [str(number) for number in range(len(content))]
        if set(content) != set(keys):
            raise ValueError
        # torchvision's and Keras's ImageNet lists give an identifier and the name
        found = [content[key] for key in keys]
        content = [each[-1] if isinstance(each, list) and each else each for each in found]
    if not isinstance(content, list) or not all(isinstance(each, str) for each in content):
        raise ValueError
    return content
